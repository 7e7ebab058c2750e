import Base

/// What a list shows of each row: to people under a title, to programs as a field.
struct ListColumn<Row> {
    fileprivate enum Value {
        case text(String)
        case number(Int64)
    }

    fileprivate let title: String
    fileprivate let field: String
    fileprivate let alignment: TextTable.Alignment
    fileprivate let value: (Row) -> Value

    static func text(_ title: String, _ field: String, _ value: @escaping (Row) -> String) -> Self {
        Self(title: title, field: field, alignment: .left) { .text(value($0)) }
    }

    static func number<Number: BinaryInteger>(
        _ title: String, _ field: String, _ value: @escaping (Row) -> Number
    ) -> Self {
        Self(title: title, field: field, alignment: .right) { .number(Int64(clamping: value($0))) }
    }
}

extension Output {
    /// A table for people, which is empty where there are no rows; for programs one object a line.
    func list<Row>(_ rows: [Row], asJSON: Bool, _ columns: [ListColumn<Row>]) throws {
        if asJSON {
            for row in rows {
                try json { json in
                    for column in columns {
                        switch column.value(row) {
                        case .text(let text): json.field(column.field, text)
                        case .number(let number): json.field(column.field, number)
                        }
                    }
                }
            }
            return
        }
        if rows.isEmpty { return }
        var table = TextTable(columns: columns.map { ($0.title, $0.alignment) })
        for row in rows {
            table.append(
                columns.map { column in
                    switch column.value(row) {
                    case .text(let text): text
                    case .number(let number): "\(number)"
                    }
                })
        }
        try write(Array(table.shown.utf8))
    }
}

internal import Base
internal import RecordFormat
internal import SystemIO

extension MessageWriter {
    /// Writes a whole frame with a request: length, header, body. After an error nothing of it is left.
    ///
    /// - Throws: when the version is not supported or cannot carry a field, or the client ID is too long.
    public mutating func writeRequest<Body: RequestMessage>(
        _ body: Body, version: Int16, correlationID: Int32, clientID: String?
    ) throws(ProtocolError) {
        let frame = beginFrame()
        do {
            let headerVersion = Body.apiKey.requestHeaderVersion(version)
            beginHeader("RequestHeader", version: headerVersion)
            int16(Body.apiKey.rawValue)
            int16(version)
            int32(correlationID)
            try optionalString(clientID, "clientID", mayBeNull: true)
            if headerVersion >= 2 { noTaggedFields() }
            try write(body, version: version)
        } catch {
            cancelFrame(frame)
            throw error
        }
        try endFrame(frame)
    }

    /// Writes a whole frame with a response: length, header, body. After an error nothing of it is left.
    ///
    /// - Parameters:
    ///   - version: the version of the request that it answers.
    ///   - correlationID: that of the request.
    /// - Throws: when the version is not supported or cannot carry a field.
    public mutating func writeResponse<Body: ResponseMessage>(
        _ body: Body, version: Int16, correlationID: Int32
    ) throws(ProtocolError) {
        let frame = beginFrame()
        do {
            let headerVersion = Body.apiKey.responseHeaderVersion(version)
            beginHeader("ResponseHeader", version: headerVersion)
            int32(correlationID)
            if headerVersion >= 1 { noTaggedFields() }
            try write(body, version: version)
        } catch {
            cancelFrame(frame)
            throw error
        }
        try endFrame(frame)
    }
}

//! Do requests on a WebSocket follow the same rules?

// Package jetstream is the door for JetStream: it turns requests on $JS.API.>
// and acknowledgements on $JS.ACK.> into operations on streams and consumers, and
// writes what these answer and deliver. Its tables and bytes are those of
// wire/jetstream.
//
// It keeps no state that a restart would need and starts no goroutine: snapshots and
// uploads are carried by the stream directory's transfers. Requests
// are handled on the broker's workers; pull requests and acknowledgements on the
// goroutine of the connection they came on, which posts them to the stream's
// shard; deliveries are written on the shard's goroutine, replies to publishers
// on the journal's. The door's counters are atomic. Its only locks are one in each
// transfer, over what the client sent, which is held for no call.
package jetstream

// Package liftbridge is what Liftbridge's protocol puts on NATS, and how what it
// stores is seen by NATS clients: envelopes of messages and acks, header blocks,
// names of streams, keys of cursors. The gRPC messages are in pb.
//
// # Envelope
//
//	offset size
//	0      4    magic B9 0E 43 B4
//	4      1    version, 0
//	5      1    where the payload begins: 8, or 12 with a checksum
//	6      1    flags: 1 for the checksum
//	7      1    type: 0 message, 1 ack; others are between Liftbridge's servers
//	8      4    checksum, if flag 1: CRC-32C of the payload, big endian
//	..          payload, a protobuf message
//
// We write envelopes without a checksum, as everybody does, and read both. What
// is no envelope of a message is a message itself: its value is all of it.
//
// # Header blocks
//
// A Liftbridge header is any text with any bytes; a NATS header is a line. One
// that is a line both ways is that line. Another is a line "Weir-Header-Base64"
// with name and value in base64. The key is in "Weir-Key", or "Weir-Key-Base64".
// Values of a NATS header that stands several times become one, with CR LF
// between. So both ways lose nothing.
//
// Everything here is pure. Decoders are total, and what they give points into
// what they were given. The door calls it.
package liftbridge

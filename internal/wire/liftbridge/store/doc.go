// Package store reads what a Liftbridge server (1.9) keeps in its data directory: records
// of a partition's log, values that it has encrypted, and the streams that its Raft log
// tells of. Everything here is pure: files are the caller's.
//
//	streams/STREAM/PARTITION/BASE.log   records; BASE is the first offset, 20 digits
//	raft/raft.db                        Raft's log, a B+tree file of bbolt
//	raft/snapshots/TERM-INDEX-MS/       state.bin, the streams at INDEX; meta.json
//
// # Records
//
// Integers are big-endian. The checksum does not cover the first 28 bytes.
//
//	offset size
//	0      8    offset
//	8      8    time, Unix ns
//	16     8    epoch of the partition's leader
//	24     4    length of what follows
//	28     4    CRC-32C of the rest
//	32     1    1
//	33     1    attributes, 0
//	34     4    length of the key, -1 for none; the key
//	..     4    length of the value, -1 for none; the value
//	..     2    number of headers; each: 2 length, name, 4 length, value
//
// # Encrypted values
//
// The length of a wrapped key (1 byte), the key, wrapped as RFC 5649 has it, a nonce of 12
// bytes, and what AES-GCM makes of the value.
//
// # Raft
//
// A bucket "logs" of the B+tree has entries by index (8 bytes, big-endian), in
// MessagePack: a map with "Type", 0 for those that count here, and "Data", a protobuf
// message. A snapshot is a length (4 bytes, big-endian) and a protobuf message.
//
// Decoders are total, and what they give points into what they were given. Damage is an
// error that wraps ErrDamaged. `weir import` calls it.
package store

package liftbridge

import (
	"hash/crc32"
	"strconv"
)

// CursorKey is the key of the message that keeps a cursor.
func CursorKey(id, stream string, partition int32) string {
	return id + "," + stream + "," + strconv.Itoa(int(partition))
}

// CursorPartition is the partition of the cursors' stream that keeps a key, of n.
func CursorPartition(key string, n int) int32 {
	return int32(crc32.ChecksumIEEE([]byte(key)) % uint32(max(n, 1)))
}

// CursorToken gives a key as one token of a subject.
func CursorToken(key string) string { return EscapeName(key) }

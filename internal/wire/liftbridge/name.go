package liftbridge

import (
	"strconv"
	"strings"
)

// MaxName is how long a stream's name may be in its escaped form, bytes.
const MaxName = 240

// ValidName says whether a stream may have a name: tokens that are not empty,
// without white space, control characters, wildcards or what separates paths.
func ValidName(name string) bool {
	if name == "" || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") {
		return false
	}
	for _, r := range name {
		if r <= ' ' || r == 0x7f || r == 0x85 || r == 0xa0 || strings.ContainsRune(`*>/\`, r) {
			return false
		}
	}
	return len(EscapeName(name)) <= MaxName
}

const hexDigits = "0123456789ABCDEF"

// EscapeName gives the name that a stream has for JetStream: what is not allowed
// there is escaped by percent signs, as is the colon, which is for partitions.
func EscapeName(name string) string {
	plain := true
	for i := range len(name) {
		plain = plain && !escaped(name[i])
	}
	if plain {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; escaped(c) {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escaped(c byte) bool { return c <= ' ' || c > '~' || strings.IndexByte(`.*>/\:%`, c) >= 0 }

// UnescapeName is the inverse of EscapeName. What is no escape stays.
func UnescapeName(name string) string {
	if !strings.Contains(name, "%") {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '%' && i+2 < len(name) {
			if n, err := strconv.ParseUint(name[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// PartitionName is the JetStream name of a partition of a stream that has several.
func PartitionName(name string, partition int32) string {
	return EscapeName(name) + ":" + strconv.Itoa(int(partition))
}

// PartitionSubject is the NATS subject of a partition.
func PartitionSubject(subject string, partition int32) string {
	if partition == 0 {
		return subject
	}
	return subject + "." + strconv.Itoa(int(partition))
}

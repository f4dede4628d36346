package jetstream

import (
	"maps"
	"strconv"
	"strings"
)

// APILevel is the level of the API that this server serves; clients gate features
// by it. 4 is what NATS 2.14 has.
const APILevel = 4

// Keys of metadata that belong to the server.
const (
	metaPrefix   = "_nats."
	metaRequired = "_nats.req.level" // stored: the level that the asset needs
	metaVersion  = "_nats.ver"       // in responses only
	metaLevel    = "_nats.level"     // in responses only
)

const maxMetadata = 128 << 10

// WithVersion gives the metadata of a response: what is stored, and the version
// and level of this server. The input is not changed.
func WithVersion(stored map[string]string, version string) map[string]string {
	out := make(map[string]string, len(stored)+2)
	maps.Copy(out, stored)
	out[metaVersion] = version
	out[metaLevel] = strconv.Itoa(APILevel)
	return out
}

// stamp gives the metadata to store: the client's, without what belongs to the
// server, and the level that the asset needs.
func stamp(meta map[string]string, level int) map[string]string {
	out := withoutServerKeys(meta)
	if out == nil {
		out = make(map[string]string, 1)
	}
	out[metaRequired] = strconv.Itoa(level)
	return out
}

// withoutServerKeys copies the client's own metadata, nil if there is none.
func withoutServerKeys(meta map[string]string) map[string]string {
	var out map[string]string
	for k, v := range meta {
		if strings.HasPrefix(k, metaPrefix) {
			continue
		}
		if out == nil {
			out = make(map[string]string, len(meta))
		}
		out[k] = v
	}
	return out
}

// metadataSize is the bytes of all keys and values.
func metadataSize(meta map[string]string) int {
	n := 0
	for k, v := range meta {
		n += len(k) + len(v)
	}
	return n
}

package liftbridge

import (
	"encoding/json"
	"maps"

	"github.com/weirmq/weir/internal/stream"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
)

// settings is what a partition has beside what JetStream knows of it.
type settings = wire.Settings

// native is a stream of this door's dialect as both doors see it.
type native struct {
	js  *jswire.StreamConfig
	set settings
}

// JetStream is the configuration in JetStream's terms.
func (n *native) JetStream() *jswire.StreamConfig { return n.js }

// withSettings puts settings into other metadata.
func withSettings(meta map[string]string, s *settings) map[string]string {
	out := maps.Clone(meta)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, s.Metadata())
	return out
}

// describedSealed says whether a configuration is one of a sealed stream in
// JetStream's terms.
func describedSealed(c *stream.Config) bool {
	var js struct {
		Sealed bool `json:"sealed"`
	}
	return json.Unmarshal(c.Doc, &js) == nil && js.Sealed
}

package check

import (
	"testing"

	"github.com/weirmq/weir/internal/meta"
)

func TestStreamsInOtherStoragesAreKnown(t *testing.T) {
	for config, want := range map[string]string{`{"kind":"dir"}`: "dir", `{"memory":true}`: "", `{}`: "", `{`: ""} {
		if got := elsewhere(&meta.Spec{Config: []byte(config)}); got != want {
			t.Errorf("%s is kept in %q", config, got)
		}
	}
}

package harness

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// StartReference runs nats-server, of the version that this module requires, with
// the configuration that Start would give to Weir. It is built from its module when
// a test binary first asks for it.
func StartReference(t testing.TB, config string) *Server {
	t.Helper()
	bin, err := reference()
	if err != nil {
		t.Fatal(err)
	}
	s := prepare(t, bin, config)
	s.Run()
	return s
}

var reference = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(binaries.dir, "nats-server")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build nats-server: %w\n%s", err, out)
	}
	return bin, nil
})

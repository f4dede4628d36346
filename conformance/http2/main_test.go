package http2_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/weirmq/weir/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// start runs a server that serves gRPC at addr.
func start(t *testing.T, settings string) (s *harness.Server, addr string) {
	t.Helper()
	addr = harness.Free(t)
	s = harness.Start(t, fmt.Sprintf("liftbridge {\n listen: %q\n%s\n}", addr, settings))
	waitOpen(t, addr)
	return s, addr
}

// waitOpen waits until connections are taken.
func waitOpen(t *testing.T, addr string) {
	t.Helper()
	harness.Eventually(t, "gRPC's port is open", func() bool {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

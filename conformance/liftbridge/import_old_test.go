package liftbridge_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	"github.com/weirmq/weir/conformance/harness"
)

// oldServer is the binary of Liftbridge's own server, which LIFTBRIDGE_SERVER names: it is
// built in a module of its own, since it needs other versions of what it is made of. What
// needs it is skipped without.
func oldServer(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("LIFTBRIDGE_SERVER")
	if bin == "" {
		t.Skip("LIFTBRIDGE_SERVER names no binary of Liftbridge 1.9.0")
	}
	return bin
}

// writeOldConfig writes a configuration file of Liftbridge for a server on addr, with its own
// NATS server on embedded, whose data is to be in a directory of dir.
func writeOldConfig(t *testing.T, dir, addr, embedded string, settings ...string) (config, data string) {
	t.Helper()
	_, port, _ := net.SplitHostPort(addr)
	natsConfig := filepath.Join(dir, "nats.conf")
	config, data = filepath.Join(dir, "liftbridge.yaml"), filepath.Join(dir, "data")
	for name, text := range map[string]string{
		natsConfig: "listen: " + embedded + "\n",
		config: strings.Join(append([]string{
			"listen: " + addr, "host: 127.0.0.1", "port: " + port, "data.dir: " + data, "clustering.raft.bootstrap.seed: true",
			"nats.servers: [nats://" + embedded + "]", "nats.embedded.config: " + natsConfig, "logging.level: error",
		}, settings...), "\n") + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config, data
}

// startOldServer runs Liftbridge's own server. It gives its address and its directory.
func startOldServer(t *testing.T) (addr, data string, stop func()) {
	t.Helper()
	bin := oldServer(t)
	addr = harness.Free(t)
	config, data := writeOldConfig(t, t.TempDir(), addr, harness.Free(t), "cursors.stream.partitions: 2")
	cmd := exec.Command(bin, "-c", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Signal(os.Interrupt) // it may have ended
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	return addr, data, stop
}

// TestStreamsComeFromTheOldServer imports from Liftbridge's own server, while it runs and
// from the directory that it leaves.
func TestStreamsComeFromTheOldServer(t *testing.T) {
	from, data, stop := startOldServer(t)
	var c lift.Client
	harness.Eventually(t, "the old server answers", func() (ok bool) {
		var err error
		if c, err = lift.Connect([]string{from}); err != nil {
			return false
		}
		return c.CreateStream(deadline(t), "in.x", "old", lift.Partitions(2)) == nil
	})
	defer c.Close()
	for i := range 200 {
		_, err := c.Publish(deadline(t), "old", fmt.Append(nil, i), lift.ToPartition(int32(i%2)), lift.Key([]byte{byte(i), 0}), lift.AckPolicyAll())
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SetCursor(deadline(t), "c", "old", 1, 42); err != nil {
		t.Fatal(err)
	}
	live, files := harness.Start(t, ""), harness.Start(t, "")
	got := importLift(t, live, 0, "--from", from, "--work", filepath.Join(t.TempDir(), "work"))
	stop()
	for _, all := range []map[string]imported{got, importLift(t, files, 0, data)} {
		isVerified(t, all["old:0"], 100, 100)
		isVerified(t, all["old:1"], 100, 100)
		if all["old:1"].Cursors != 1 {
			t.Errorf("%+v", all)
		}
	}
}

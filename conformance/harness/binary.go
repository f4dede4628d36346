package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binaries are the paths that Main has found or built, and the directory for those
// that are built on demand.
var binaries struct{ server, cli, dir string }

// Main builds what the tests need, runs them and cleans up. It is a package's TestMain.
func Main(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "weir-conformance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries.dir = dir
	binaries.cli = filepath.Join(dir, "weir")
	build := exec.Command("go", "build", "-o", binaries.cli, "./cmd/weir")
	build.Dir = "../.." // tests run in their package's directory, two below the repository
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "harness: build weir:", err)
		return 1
	}
	binaries.server = binaries.cli
	if other := os.Getenv("WEIR_BIN"); other != "" {
		if binaries.server, err = exec.LookPath(other); err != nil {
			fmt.Fprintln(os.Stderr, "harness: WEIR_BIN:", err)
			return 1
		}
	}
	return m.Run()
}

// Binary is the server under test, for tests that run it with flags of their own.
func Binary() string { return binaries.server }

// Peer reports whether another server than Weir is under test, for the few
// tests of what only Weir promises.
func Peer() bool { return binaries.server != binaries.cli }

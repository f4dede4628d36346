package grpccore_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/weirmq/weir/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

func TestGRPCsCoreLibraryWorks(t *testing.T) {
	python, dir, api := interpreter(t), t.TempDir(), filepath.Join("..", "..", "api")
	if out, err := exec.Command(python, "-m", "grpc_tools.protoc", "-I"+api, "--python_out="+dir, "--grpc_python_out="+dir, filepath.Join(api, "liftbridge.proto")).CombinedOutput(); err != nil {
		t.Fatalf("protoc: %v\n%s", err, out)
	}
	t.Setenv("PYTHONPATH", dir)
	plain, secure, ca := harness.StartLiftbridge(t)
	harness.Script(t, python, "cases.py", plain, secure, ca)
}

// interpreter is a Python that has gRPC.
func interpreter(t *testing.T) string {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import grpc, grpc_tools").Run() == nil {
			return python
		}
	}
	t.Skip("Python has no grpcio and grpcio-tools: gRPC's core library is not tested")
	return ""
}

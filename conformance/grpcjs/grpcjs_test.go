package grpcjs_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/weirmq/weir/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

func TestGRPCsClientForJavaScriptWorks(t *testing.T) {
	ca, dir := harness.NewAuthority(t), t.TempDir()
	ca.File(dir, "ca.pem", ca.PEM())
	ca.Write(dir, ca.Pair("server", false))
	plain, secure := harness.Free(t), harness.Free(t)
	harness.Start(t, fmt.Sprintf("liftbridge { listen: %q }", plain))
	harness.Start(t, fmt.Sprintf("liftbridge { listen: %q, tls { cert: %q, key: %q } }", secure, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")))
	harness.Node(t, "node_modules/@grpc/proto-loader/package.json", plain, secure, filepath.Join(dir, "ca.pem"))
}

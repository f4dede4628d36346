package grpcjs_test

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"

	"github.com/weirmq/weir/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

func TestGRPCsClientForJavaScriptWorks(t *testing.T) {
	ca, dir := harness.NewAuthority(t), t.TempDir()
	ca.File(dir, "ca.pem", ca.PEM())
	ca.Write(dir, ca.Pair("server", false))
	plain, secure := free(t), free(t)
	harness.Start(t, fmt.Sprintf("liftbridge { listen: %q }", plain))
	harness.Start(t, fmt.Sprintf("liftbridge { listen: %q, tls { cert: %q, key: %q } }", secure, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")))
	harness.Node(t, "node_modules/@grpc/proto-loader/package.json", plain, secure, filepath.Join(dir, "ca.pem"))
}

// free is an address that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String()
}

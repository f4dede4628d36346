package grpcjs_test

import (
	"testing"

	"github.com/weirmq/weir/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

func TestGRPCsClientForJavaScriptWorks(t *testing.T) {
	plain, secure, ca := harness.StartLiftbridge(t)
	harness.Node(t, "node_modules/@grpc/proto-loader/package.json", plain, secure, ca)
}

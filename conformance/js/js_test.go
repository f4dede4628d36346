package js_test

import (
	"testing"

	"github.com/weirmq/weir/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

func TestTheJavaScriptClientWorks(t *testing.T) {
	server := harness.Start(t, "")
	harness.Node(t, "node_modules/@nats-io/obj/package.json", server.URL)
}

package leaf_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/weirmq/weir/conformance/harness"
)

// TestLinksGoOverWebSocket has a hub that is reached over WebSocket only, and is restarted.
func TestLinksGoOverWebSocket(t *testing.T) {
	cert, key := certificate(t)
	secured := fmt.Sprintf("tls { cert_file: %q, key_file: %q }", cert, key)
	trust := fmt.Sprintf("tls { ca_file: %q }", cert)
	for name, it := range map[string]struct{ hub, url, leaf string }{
		"plain":                {"no_tls: true", "ws://", ""},
		"compression is there": {"no_tls: true, compression: true", "ws://", "ws_compression: true"},
		"secured":              {secured, "wss://", trust},
		"secured by the leaf":  {secured, "ws://", trust},
	} {
		t.Run(name, func(t *testing.T) {
			addr := port(t)
			hub := harness.StartReference(t, fmt.Sprintf(`server_name: hub
				leafnodes { listen: %q, authorization { user: a, password: "s3:cret" } }
				websocket { listen: %q, %s }`, port(t), addr, it.hub))
			leaf := harness.Start(t, leafConfig(it.url+"a:s3%3Acret@"+addr, it.leaf, ""))
			there, here := hub.Connect(), leaf.Connect()
			linked(t, there, here)
			p := &pair{t: t, hub: hub, leaf: leaf, there: there, here: here}
			gotHere, gotThere := p.subscribe(here, there, "to.here", ""), p.subscribe(there, here, "to.there", "")
			for _, size := range []int{0, 100, 70_000, 1_000_000} {
				data := strings.Repeat("x", size)
				for _, way := range []struct {
					from    *nats.Conn
					subject string
					to      chan *nats.Msg
				}{{there, "to.here", gotHere}, {here, "to.there", gotThere}} {
					m := &nats.Msg{Subject: way.subject, Header: nats.Header{"K": {"v"}}, Data: []byte(data)}
					if err := way.from.PublishMsg(m); err != nil {
						t.Fatal(err)
					}
					if got := next(t, way.to); string(got.Data) != data || got.Header.Get("K") != "v" {
						t.Fatalf("%s, %d bytes: %d came", way.subject, size, len(got.Data))
					}
				}
			}
			hub.Kill()
			hub.Run()
			linked(t, hub.Connect(), leaf.Connect())
		})
	}
}

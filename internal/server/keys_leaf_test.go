package server

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

const leafSeed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY" // of a published example

func TestLeafNodesAreConfigured(t *testing.T) {
	c, err := loadText(t, `accounts { A { } }
leafnodes {
  reconnect: "3s", dial_timeout: "2s", write_deadline: "5s", compression: off
  remotes: [
    { url: "nats://u:p@hub:7422", deny_imports: "a.>", deny_exports: [b, "c.*"], no_randomize: true, request_isolation: true }
    { urls: ["tls://one", "nats-leaf://two:1"], account: A, credentials: "some.creds", ignore_discovered_servers: true
      first_info_timeout: "4s", dial_timeout: "6s", tls { insecure: true, handshake_first: true, timeout: 7, min_version: "1.3" } }
    { url: "nats://off", disabled: true }
    { url: "nats://key", nkey: `+leafSeed+` }
  ]
}`)
	if err != nil {
		t.Fatal(err)
	}
	want := LeafConfig{Reconnect: 3 * time.Second, Dial: 2 * time.Second, WriteDeadline: 5 * time.Second, Remotes: []LeafRemote{
		{URLs: []string{"nats://u:p@hub:7422"}, Account: "$G", DenyImports: []string{"a.>"}, DenyExports: []string{"b", "c.*"}, InOrder: true, Isolate: true},
		{
			URLs: []string{"tls://one", "nats-leaf://two:1"}, Account: "A", Credentials: "some.creds", OnlyNamed: true, FirstInfo: 4 * time.Second, Dial: 6 * time.Second,
			TLS: LeafTLS{Named: true, Insecure: true, First: true, Timeout: 7 * time.Second, MinVersion: 0x304},
		},
		{URLs: []string{"nats://key"}, Account: "$G", Seed: leafSeed},
	}}
	if !reflect.DeepEqual(c.Leaf, want) {
		t.Errorf("\n got %+v\nwant %+v", c.Leaf, want)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "test.conf:7: leafnodes.remotes.1.tls.insecure: the certificate") {
		t.Errorf("warnings: %q", c.Warnings)
	}
}

func TestWhatOfLeafNodesIsNotHonouredIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		`leafnodes { listen: "0.0.0.0:7422" }`:                                        "not served yet",
		`leafnodes { port: 7422 }`:                                                    "not served yet",
		`leafnodes { authorization { user: a } }`:                                     "not served yet",
		`leafnodes { compression: s2_best }`:                                          "not compressed",
		`leafnodes { compression { mode: s2_auto } }`:                                 "not compressed",
		`leaf { remotes [ { url: "nats://h", hub: true } ] }`:                         "always the leaf",
		`leafnodes { remotes [ { url: "nats://h", jetstream_cluster_migrate: 1 } ] }`: "runs alone",
		`leafnodes { remotes [ { url: "nats://h", ws_compression: true } ] }`:         "not compressed",
	} {
		c, err := loadText(t, text)
		if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], want) {
			t.Errorf("%s: %v, %+v", text, err, c)
		}
	}
}

func TestWrongLeafNodesNameTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		`leafnodes { remotes [ {} ] }`:                                                     "test.conf:1: leafnodes.remotes.0: needs url",
		`leafnodes { remotes [ { url: "http://h" } ] }`:                                    "test.conf:1: leafnodes.remotes.0.url: \"http://h\" is not the address",
		`leafnodes { remotes [ { url: "nats://h", nkey: SUNONE } ] }`:                      "not the seed",
		`leafnodes { remotes [ { url: "nats://h", nkey: ` + leafSeed + `, creds: x } ] }`:  "not both",
		`leafnodes { remotes [ { url: "nats://h", deny_imports: "a..b" } ] }`:              "not a valid subject",
		`leafnodes { remotes [ { url: "nats://h", proxy { url: "http://p" } } ] }`:         "proxies are not served",
		`leafnodes { remotes [ { url: "nats://h", no_such: 1 } ] }`:                        "leafnodes.remotes.0.no_such: unknown key",
		`leafnodes { no_such: 1 }`:                                                         "leafnodes.no_such: unknown key",
		`leafnodes { remotes [ { url: "nats://h", tls { cert_file: a } } ] }`:              "belong together",
		`leafnodes { remotes [ { url: "nats://h", tls { min_version: "1.1" } } ] }`:        "must be \"1.2\"",
		`leafnodes { remotes [ { url: "nats://h", tls { cipher_suites: [NONE] } } ] }`:     "cipher suite",
		`leafnodes { remotes [ { url: "nats://h", tls { curve_preferences: [NONE] } } ] }`: "curve",
	} {
		if _, err := loadText(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestALeafNodesJetStreamHasADomain(t *testing.T) {
	remote := "\n" + `leafnodes { remotes [ { url: "nats://h" } ] }`
	for text, want := range map[string]string{
		`jetstream: true`:                                          "",
		"jetstream: true" + remote:                                 "weir",
		"server_name: edge\njetstream: true" + remote:              "edge",
		"server_name: \"edge.1\"\njetstream: true" + remote:        "weir",
		"server_name: edge\n" + `jetstream { domain: D }` + remote: "D",
		`server_name: edge` + remote:                               "",
	} {
		c, err := loadText(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if c.JetStream.Domain != want {
			t.Errorf("%s: domain %q", text, c.JetStream.Domain)
		}
	}
	for text, want := range map[string]string{
		`leafnodes { remotes [ { url: "nats://h", account: NONE } ] }`:                           "there is no account \"NONE\"",
		`leafnodes { remotes [ { url: "nats://h", tls { ca_file: "/does/not/exist" } } ] }`:      "read the certificate authority",
		`leafnodes { remotes [ { url: "nats://h", tls { cert_file: gone, key_file: gone } } ] }`: "read the certificate gone",
	} {
		if _, err := loadText(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	old, err := loadText(t, "port: 4222"+remote)
	if err != nil {
		t.Fatal(err)
	}
	next, err := loadText(t, "port: 4222")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := refuseReload(old, next); err == nil || !strings.Contains(err.Error(), "leafnodes") {
		t.Errorf("reload: %v", err)
	}
}

func TestNATSClientsAreNotListenedForWhereLiftbridgeIsAlone(t *testing.T) {
	for text, listens := range map[string]bool{
		"listen: \"127.0.0.1:-1\"\n" + `liftbridge { nats_api: off }`:                 false,
		"listen: \"127.0.0.1:-1\"\n" + `liftbridge { nats_api: on }`:                  true,
		"listen: \"127.0.0.1:-1\"\n" + `liftbridge { enabled: false, nats_api: off }`: true,
	} {
		c, err := loadText(t, text)
		if err != nil {
			t.Fatal(err)
		}
		p := &process{config: c, log: &logs{Logger: slog.New(slog.DiscardHandler)}}
		if err := p.listenNATS(); err != nil {
			t.Fatal(err)
		}
		if got := p.natsAddr() != ""; got != listens {
			t.Errorf("%s: it listens: %v", text, got)
		}
		if err := p.unlisten(); err != nil {
			t.Error(err)
		}
	}
	_, err := loadText(t, "liftbridge { nats_api: off }\n"+`websocket { port: 80, no_tls: true }`)
	if err == nil || !strings.Contains(err.Error(), "websocket is for NATS clients") {
		t.Error(err)
	}
}

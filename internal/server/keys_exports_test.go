package server

import (
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
)

func TestExportsAndImportsAreRead(t *testing.T) {
	c, err := loadText(t, `
accounts {
  A {
    exports: [
      { stream: "ev.>" }
      { stream: "priv.*", accounts: [B] }
      { service: "svc.*", response_type: stream, threshold: "5s" }
      { service: "each.*.x", account_token_position: 2 }
    ]
  }
  B {
    imports: [
      { stream: { account: A, subject: "ev.>" }, prefix: "imp" }
      { stream: { account: A, subject: "priv.*" }, to: "p.$1.q" }
      { service: { account: A, subject: "svc.*" }, to: "my.*", share: true }
      { service: { account: A, subject: "each.B.x" } }
    ]
  }
}`)
	if err != nil {
		t.Fatal(err)
	}
	links, err := account.Join(c.accountRegistry().All())
	if err != nil || len(links) != 4 {
		t.Fatalf("%+v, %v", links, err)
	}
	for i, want := range []string{"imp.ev.>", "p.*.q", "my.*", "each.B.x"} {
		if got := links[i].Mapping.To(); got != want {
			t.Errorf("import %d is %q here, want %q", i, got, want)
		}
	}
	if l := links[2]; !l.Import.Share || l.Export.Response != account.Streamed || l.Export.Threshold != 5*time.Second {
		t.Errorf("%+v", l)
	}
}

func TestBadExportsAndImportsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`accounts { A { exports: [ { } ] } }`:                                                                                    "must name one stream or one service",
		`accounts { A { exports: [ { stream: a, service: b } ] } }`:                                                              "must name one stream or one service",
		`accounts { A { exports: [ { stream: a, response: stream } ] } }`:                                                        "is for services",
		`accounts { A { exports: [ { service: a, response: many } ] } }`:                                                         "must be singleton, stream or chunked",
		`accounts { A { exports: [ { stream: "a..b" } ] } }`:                                                                     "is no subject",
		`accounts { A { exports: [ { stream: "a.*", account_token_position: 2, accounts: [B] } ] } }`:                            "only one of them",
		`accounts { A { imports: [ { stream: { account: B } } ] } }`:                                                             "must name one stream or one service",
		`accounts { A { imports: [ { stream: { account: B, subject: a } } ] } }`:                                                 "no such account",
		`accounts { A {}, B { imports: [ { stream: { account: A, subject: a } } ] } }`:                                           "does not export that",
		`accounts { A { exports: [{stream: a}] }, B { imports: [ { stream: { account: A, subject: a }, share: true } ] } }`:      "share is for services",
		`accounts { A { exports: [{stream: a}] }, B { imports: [ { stream: { account: A, subject: a }, to: b, prefix: c } ] } }`: "only one of them",
		`accounts { A { exports: [{service: a}] }, B { imports: [ { service: { account: A, subject: a }, prefix: c } ] } }`:      "prefix is for streams",
		`accounts { A { exports: [{service: a}], imports: [ { service: { account: A, subject: a } } ] } }`:                       "cycle",
	} {
		if _, err := loadText(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

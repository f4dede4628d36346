package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/auth"
)

// TestAnythingSaidAboutUsersClosesTheServer tries every combination of what can
// be said about who may come in: the server either refuses to start or lets
// nobody in who shows nothing, unless a user for those is named.
func TestAnythingSaidAboutUsersClosesTheServer(t *testing.T) {
	blocks := [][]string{
		{"", "authorization {}", "authorization { timeout: 1 }", "authorization { users: [] }", `authorization { token: "" }`,
			`authorization { user: "", password: "" }`, "authorization { password: p }", "authorization { user: u }",
			"authorization { token: t }", "authorization { users: [{user: u, password: p}] }", "authorization { user: u, token: t }",
			"authorization { default_permissions { publish: x } }"},
		{"", "accounts { A { users: [{user: a, password: p}] } }", "accounts { A { users: [] } }",
			`accounts { "$SYS" { users: [{user: s, password: p}] } }`, `accounts { A {}, "$SYS" { users: [{user: s, password: p}] } }`},
		{"", "system_account: A", `system_account: "$SYS"`, "no_system_account: true"},
		{"", "no_auth_user: u", "no_auth_user: a"},
	}
	open, closed, refused := 0, 0, 0
	for i := range len(blocks[0]) * len(blocks[1]) * len(blocks[2]) * len(blocks[3]) {
		var parts []string
		for _, b := range blocks {
			parts = append(parts, b[i%len(b)])
			i /= len(b)
		}
		text := strings.Join(parts, "\n")
		c, err := loadText(t, text)
		if err != nil {
			refused++
			continue
		}
		o, err := c.authOptions(c.accountRegistry())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		a, err := auth.New(o)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		said := strings.Contains(parts[0], "{") || strings.Contains(parts[1], "users")
		if a.Required() != said {
			t.Errorf("%s: credentials are required: %v", text, a.Required())
		}
		_, err = a.Authenticate(auth.Credentials{})
		switch letIn := err == nil; {
		case letIn && said && parts[3] == "":
			t.Errorf("%s: lets everybody in", text)
		case letIn:
			open++
		default:
			closed++
		}
	}
	if open == 0 || closed == 0 || refused == 0 {
		t.Errorf("the combinations are not what they were meant to be: %d open, %d closed, %d refused", open, closed, refused)
	}
}

func TestUsersBelongToTheAccountThatNamesThem(t *testing.T) {
	c, err := loadText(t, `
authorization { users: [{user: g, password: p}], default_permissions { publish: only } }
accounts {
  A { users: [{user: a, password: p, permissions: {subscribe: mine}}, {user: plain, password: p}], default_permissions { publish: "a.>" }, limits { max_connections: 3, max_subscriptions: 4, max_payload: 1k } }
  B { jetstream: { max_mem: 1MB, max_file: 2MB, max_streams: 3, max_consumers: 4, max_ack_pending: 5,
    max_bytes_required: true, memory_max_stream_bytes: 6k, store_max_stream_bytes: 7k }, users: [{user: b, password: p}] }
  C { jetstream: disabled }
}
jetstream: true
no_auth_user: b`)
	if err != nil {
		t.Fatal(err)
	}
	registry := c.accountRegistry()
	o, err := c.authOptions(registry)
	if err != nil {
		t.Fatal(err)
	}
	a, err := auth.New(o)
	if err != nil {
		t.Fatal(err)
	}
	publishes := func(u *auth.User, subject string) bool {
		if u.Permissions == nil {
			return true
		}
		ok, _ := u.Permissions.Grant(nil).MayPublish([]byte(subject))
		return ok
	}
	for name, want := range map[string]string{"g": "$G, only", "a": "A, all", "plain": "A, a.>", "b": "B, all"} {
		u := a.Find(name)
		got := "nothing"
		switch {
		case publishes(u, "anything"):
			got = "all"
		case publishes(u, "a.b"):
			got = "a.>"
		case publishes(u, "only"):
			got = "only"
		}
		if got = fmt.Sprintf("%s, %s", u.Account.Name, got); got != want {
			t.Errorf("user %s: %s, want %s", name, got, want)
		}
	}
	if u, err := a.Authenticate(auth.Credentials{}); err != nil || u.Name != "b" {
		t.Errorf("the one who shows nothing: %v, %v", u, err)
	}
	if l := registry.Find("A").Limits; l != (account.Limits{MaxConnections: 3, MaxSubscriptions: 4, MaxPayload: 1000}) {
		t.Errorf("limits of A: %+v", l)
	}
	if js := registry.Find("B").JetStream; js != (account.JetStream{
		Enabled: true, MaxMemory: 1 << 20, MaxStorage: 2 << 20, MaxStreams: 3, MaxConsumers: 4,
		MaxAckPending: 5, NeedsMaxBytes: true, MaxMemoryStream: 6000, MaxStorageStream: 7000,
	}) {
		t.Errorf("streams of B: %+v", js)
	}
	if registry.Find("A").JetStream.Enabled || registry.Find("C").JetStream.Enabled || registry.Find(account.System) == nil {
		t.Error("streams are on where nobody asked, or there is no system account")
	}
}

func TestPermissionsAreReadInAllTheirForms(t *testing.T) {
	for text, want := range map[string]string{
		`{publish: a}`:                                       "pub a",
		`{pub: [a, b]}`:                                      "pub a b",
		`{publish: {allow: a, deny: [b]}}`:                   "pub a -b",
		`{import: {deny: b}}`:                                "pub all -b",
		`{publish: {allow: []}}`:                             "pub none",
		`{sub: "a q"}`:                                       "sub a q",
		`{export: {allow: "a *"}}`:                           "sub a *",
		`{allow_responses: true}`:                            "responses 1 2m0s",
		`{allow_responses: false}`:                           "",
		`{publish_allow_responses: {max: 5, expires: "1m"}}`: "responses 5 1m0s",
		`{allow_responses: {max: -1, ttl: "-1s"}}`:           "responses -1 -1s",
	} {
		c, err := loadText(t, "authorization { users: [{user: u, permissions: "+text+"}] }")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		p := c.Auth.Users[0].Permissions
		var got []string
		show := func(kind string, r auth.Rule) {
			if !r.Allowing && len(r.Deny) == 0 {
				return
			}
			got = append(got, kind)
			switch {
			case !r.Allowing:
				got = append(got, "all")
			case len(r.Allow) == 0:
				got = append(got, "none")
			}
			got = append(got, r.Allow...)
			for _, d := range r.Deny {
				got = append(got, "-"+d)
			}
		}
		show("pub", p.Publish)
		show("sub", p.Subscribe)
		if r := p.Responses; r != nil {
			got = append(got, "responses", fmt.Sprint(r.Max), r.Expires.String())
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %s, want %s", text, s, want)
		}
	}
}

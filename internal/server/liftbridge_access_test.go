package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/auth"
	liftdoor "github.com/weirmq/weir/internal/door/liftbridge"
	"golang.org/x/crypto/bcrypt"
)

const exactModel = `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
`

// accessFiles are the files of a server that asks for certificates: cert.pem with
// key.pem, model.conf and policy.csv.
func accessFiles(t *testing.T, rules string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	put(t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	put(t, dir, "model.conf", exactModel)
	put(t, dir, "policy.csv", rules)
	return dir
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// inDir gives a configuration with the directory in the place of DIR.
func inDir(dir, text string) string { return strings.ReplaceAll(text, "DIR", dir) }

const liftbridgeAccess = `
tls:
  key: DIR/key.pem
  cert: DIR/cert.pem
  client.auth.enabled: true
  client.auth.ca: DIR/cert.pem
  client.authz.enabled: true
  client.authz.model: DIR/model.conf
  client.authz.policy: DIR/policy.csv
nats_api: false
`

const weirAccess = `liftbridge {
  nats_api: off
  tls { key_file: "DIR/key.pem", cert_file: "DIR/cert.pem", verify: true, ca_file: "DIR/cert.pem" }
  authz { model: "DIR/model.conf", policy: "DIR/policy.csv" }
}`

func TestPoliciesAreReadFromBothFiles(t *testing.T) {
	dir := accessFiles(t, "p, ann, s, Publish\n")
	for name, text := range map[string]string{"lift.yaml": liftbridgeAccess, "weir.conf": weirAccess} {
		c, err := liftConfig(t, name, inDir(dir, text))
		if err != nil {
			t.Error(name, err)
			continue
		}
		p := c.Liftbridge.Authz.judge()
		if p == nil || !c.Liftbridge.ClientCerts || len(c.Warnings) != 0 {
			t.Errorf("%s: %+v, warnings %q", name, c.Liftbridge, c.Warnings)
			continue
		}
		if ok, err := p.Allows("ann", "s", "Publish"); !ok || err != nil {
			t.Error(name, ok, err)
		}
		if ok, err := p.Allows("ben", "s", "Publish"); ok || err != nil {
			t.Error(name, ok, err)
		}
	}
	unused := strings.Replace(strings.Replace(weirAccess, "authz", "enabled: false, authz", 1), "DIR", "NOWHERE", -1)
	if c, err := liftConfig(t, "weir.conf", unused); err != nil || c.Liftbridge.Enabled {
		t.Error("files of what is turned off are read: ", err)
	} else if secure, err := c.Liftbridge.tls(); err != nil || secure != nil {
		t.Error("files of what is turned off are read: ", err)
	}
	off := strings.Replace(weirAccess, "authz {", "authz { enabled: false,", 1)
	c, err := liftConfig(t, "weir.conf", inDir(dir, off))
	if err != nil || c.Liftbridge.Authz.judge() != nil || len(c.Warnings) != 1 {
		t.Error("turned off: ", err, c.Warnings)
	}
	c, err = liftConfig(t, "weir.conf", inDir(dir, strings.Replace(weirAccess, "nats_api: off", "", 1)))
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "NATS clients") {
		t.Error("NATS clients stand beside: ", err, c.Warnings)
	}
	c, err = liftConfig(t, "weir.conf", inDir(dir, strings.Replace(weirAccess, "nats_api: off", "", 1)+"\nauthorization { user: u, password: p }"))
	if err != nil || len(c.Warnings) != 0 {
		t.Error("NATS clients log in: ", err, c.Warnings)
	}
}

func TestMistakesInAPolicyEndTheStartWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ change, to, policy, want string }{
		{"", "", "p, ann, s, Publish\np, ann, s\n", "lift.yaml:9: tls.client.authz.policy: DIR/policy.csv:2: a rule p has 2 values here and 3 in the model"},
		{"", "", "\n", "lift.yaml:9: tls.client.authz.policy: DIR/policy.csv: there is no rule"},
		{"policy.csv", "none.csv", "", "lift.yaml:9: tls.client.authz.policy: open DIR/none.csv"},
		{"model.conf", "policy.csv", "p, ann, s, Publish\n", "lift.yaml:8: tls.client.authz.model: DIR/policy.csv: not a model"},
		{"model.conf", "none.conf", "", "lift.yaml:8: tls.client.authz.model: open DIR/none.conf"},
		{"  client.authz.model: DIR/model.conf\n", "", "", "tls.client.authz.enabled needs tls.client.authz.model and tls.client.authz.policy"},
		{"client.auth.enabled: true", "client.auth.enabled: false", "", "tls.client.authz.enabled needs tls.client.auth.enabled"},
		{"client.authz.enabled: true", "client.authz.enabled: perhaps", "", "lift.yaml:7: tls.client.authz.enabled: must be true or false"},
		{"cert: DIR/cert.pem", "cert: DIR/model.conf", "", "tls.cert and tls.key"},
		{"auth.ca: DIR/cert.pem", "auth.ca: DIR/model.conf", "", "tls.client.auth.ca: DIR/model.conf holds no certificate"},
	} {
		dir := accessFiles(t, c.policy)
		text := liftbridgeAccess
		if c.change != "" {
			text = strings.Replace(text, c.change, c.to, 1)
		}
		if _, err := liftConfig(t, "lift.yaml", inDir(dir, text)); err == nil || !strings.Contains(err.Error(), inDir(dir, c.want)) {
			t.Errorf("%q to %q, policy %q: %v", c.change, c.to, c.policy, err)
		}
	}
}

func TestAChangeOfThePolicyMayComeWithAReload(t *testing.T) {
	dir := accessFiles(t, "p, ann, s, Publish\n")
	load := func(change ...string) *Config {
		t.Helper()
		c, err := liftConfig(t, "weir.conf", inDir(dir, strings.NewReplacer(change...).Replace(weirAccess)))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := load()
	if got := Diff(old, load()); len(got) != 0 {
		t.Error("nothing changed: ", got)
	}
	for _, next := range []*Config{
		load("authz {", "authz { enabled: false,"),
		func() *Config { put(t, dir, "policy.csv", "p, ben, s, Publish\n"); return load() }(),
	} {
		if changed, err := refuseReload(old, next); err != nil || !slices.Equal(changed, []string{"liftbridge.tls.client.authz"}) {
			t.Error(changed, err)
		}
	}
	if _, err := refuseReload(old, load("verify: true", "verify: false", "authz {", "authz { enabled: false,")); err == nil {
		t.Error("a reload takes that nobody shows a certificate any more")
	}
}

// TestWhoWasLetInIsRememberedUntilUsersChange has hashed passwords, which take long to
// compare for each call.
func TestWhoWasLetInIsRememberedUntilUsersChange(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("p"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	only, err := auth.Compile(auth.Rule{Allow: []string{"o.*"}, Deny: []string{"o.no"}}, auth.Rule{Allow: []string{"i"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &account.Account{Name: "A"}
	r := &rooms{liftAccount: "G"}
	configure := func(o auth.Options) {
		t.Helper()
		keeper, err := auth.New(o)
		if err != nil {
			t.Fatal(err)
		}
		r.keeper.Store(keeper)
	}
	k := &liftKeeper{rooms: r}
	ann := liftdoor.Credentials{User: "ann", Password: "p"}
	configure(auth.Options{Default: a})
	if id, err := k.Authenticate(liftdoor.Credentials{}); err != nil || id.Account != "G" || id.May != nil {
		t.Error("nobody has to log in: ", id, err)
	}
	configure(auth.Options{Default: a, Users: []auth.User{{Name: "ann", Password: string(hash), Permissions: only}}})
	id, err := k.Authenticate(ann)
	if err != nil || id.Account != "A" || id.User != "ann" {
		t.Fatal(id, err)
	}
	if m := id.May; !m.MayPublish("o.1") || m.MayPublish("o.no") || m.MayPublishAll("o.*") || !m.MayPublishAll("o.2") || !m.MayRead("i") || m.MayRead("o.1") {
		t.Error("the permissions are others")
	}
	if again, err := k.Authenticate(ann); err != nil || again != id {
		t.Error("it is judged again: ", err)
	}
	configure(auth.Options{Default: a, Users: []auth.User{{Name: "ann", Password: string(hash), Permissions: only}}})
	var all [8]*liftdoor.Identity
	var asking sync.WaitGroup
	for i := range all {
		asking.Go(func() { all[i], _ = k.Authenticate(ann) })
	}
	asking.Wait()
	for _, one := range all {
		if one == nil || one == id || one != all[0] {
			t.Fatal("those who ask at the same time are judged one by one: ", all)
		}
	}
	for _, c := range []liftdoor.Credentials{{}, {User: "ann"}, {User: "ann", Password: "q"}, {User: "annp"}, {Token: "ann"}} {
		if id, err := k.Authenticate(c); err == nil {
			t.Errorf("%+v is let in as %v", c, id)
		}
	}
	configure(auth.Options{Default: a, Users: []auth.User{{Name: "ann", Password: "other"}}})
	if _, err := k.Authenticate(ann); !errors.Is(err, auth.ErrPassword) {
		t.Error("the old password: ", err)
	}
	configure(auth.Options{Default: a, Token: "t"})
	if id, err := k.Authenticate(liftdoor.Credentials{Token: "t"}); err != nil || id.Account != "A" {
		t.Error("by a token: ", id, err)
	}
	configure(auth.Options{Default: a, Certificates: true, Users: []auth.User{{Name: "a@b", Password: "p"}}})
	if id, err := k.Authenticate(liftdoor.Credentials{Certificate: &x509.Certificate{EmailAddresses: []string{"a@b"}, Raw: []byte{1}}}); err != nil || id.User != "a@b" {
		t.Error("by a certificate: ", id, err)
	}
	if _, err := k.Authenticate(liftdoor.Credentials{User: "a@b", Password: "p"}); err == nil {
		t.Error("without a certificate")
	}
	for i := range maxKnown + 1 {
		c := &x509.Certificate{EmailAddresses: []string{"a@b"}, Raw: []byte{byte(i), byte(i >> 8), 2}}
		if _, err := k.Authenticate(liftdoor.Credentials{Certificate: c}); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.known) > maxKnown {
		t.Errorf("%d are remembered", len(k.known))
	}
}

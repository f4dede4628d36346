package auth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"testing"

	"github.com/weirmq/weir/internal/account"
)

func TestACertificateSaysWhoAClientIs(t *testing.T) {
	uri, err := url.Parse("spiffe://x/y")
	if err != nil {
		t.Fatal(err)
	}
	subject := pkix.Name{CommonName: "bob, the 1st", OrganizationalUnit: []string{"ops"}, Organization: []string{"Weir"}}
	for _, c := range []struct {
		users []string
		cert  *x509.Certificate
		want  string
	}{
		{[]string{"a@b.c", "host"}, &x509.Certificate{EmailAddresses: []string{"a@b.c"}, DNSNames: []string{"host"}}, "a@b.c"},
		{[]string{"host"}, &x509.Certificate{EmailAddresses: []string{"a@b.c"}, DNSNames: []string{"host"}}, "host"},
		{[]string{"spiffe://x/y"}, &x509.Certificate{URIs: []*url.URL{uri}}, "spiffe://x/y"},
		{[]string{`CN=bob\, the 1st,OU=ops,O=Weir`}, &x509.Certificate{Subject: subject}, `CN=bob\, the 1st,OU=ops,O=Weir`},
		{[]string{`o=Weir, ou=ops, cn=bob\, the 1st`}, &x509.Certificate{Subject: subject}, `o=Weir, ou=ops, cn=bob\, the 1st`},
		{[]string{"CN=bob,OU=ops"}, &x509.Certificate{Subject: subject}, ""},
		{[]string{"x"}, nil, ""},
	} {
		o := Options{Certificates: true, Default: &account.Account{Name: "G"}}
		for _, u := range c.users {
			o.Users = append(o.Users, User{Name: u, Password: "p"})
		}
		a, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		u, err := a.Authenticate(Credentials{User: c.users[0], Password: "p", Certificate: c.cert})
		switch {
		case c.want != "" && (err != nil || u.Name != c.want):
			t.Errorf("%v: %v, %v", c.users, u, err)
		case c.want == "" && !errors.Is(err, ErrCertificate) && !errors.Is(err, ErrNothing):
			t.Errorf("%v: %v, %v", c.users, u, err)
		}
	}
}

package auth

import (
	"crypto/x509"
	"errors"
	"iter"
	"slices"
	"strings"
)

// ErrCertificate says that no user has the name of a client's certificate.
var ErrCertificate = errors.New("no user has the certificate's name")

// byCertificate finds the user that a verified certificate names: by an e-mail
// address, a host or a URI among its alternative names, or by its subject, whatever
// the order of that.
func (a *Authenticator) byCertificate(c *x509.Certificate) (*User, error) {
	if c == nil {
		return nil, ErrNothing
	}
	names := slices.Concat(c.EmailAddresses, c.DNSNames)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	for _, name := range append(names, c.Subject.String()) {
		if u := a.users[name]; u != nil {
			return u, nil
		}
	}
	parts := distinguished(c.Subject.String())
	for _, name := range slices.Sorted(a.titles()) {
		if slices.Equal(distinguished(name), parts) {
			return a.users[name], nil
		}
	}
	return nil, ErrCertificate
}

// titles gives the users' names that may be subjects of certificates.
func (a *Authenticator) titles() iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range a.users {
			if strings.Contains(name, "=") && !yield(name) {
				return
			}
		}
	}
}

// distinguished takes a name such as "CN=bob,OU=ops" apart, in an order that does not
// depend on the one in which it is written. A backslash keeps a comma.
func distinguished(name string) []string {
	var parts []string
	var part strings.Builder
	end := func() {
		key, value, _ := strings.Cut(strings.TrimSpace(part.String()), "=")
		parts = append(parts, strings.ToUpper(strings.TrimSpace(key))+"="+strings.TrimSpace(value))
		part.Reset()
	}
	escaped := false
	for _, r := range name {
		switch {
		case escaped:
			part.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == ',' || r == '+':
			end()
		default:
			part.WriteRune(r)
		}
	}
	end()
	slices.Sort(parts)
	return parts
}

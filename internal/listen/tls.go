package listen

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// TLSOptions say how connections are secured.
type TLSOptions struct {
	Pairs        []KeyPair // at least one
	CAFile       string    // the authorities of clients' certificates; empty: the system's
	Verify       bool      // a client has to show a certificate
	MinVersion   uint16    // 0: TLS 1.2
	CipherSuites []uint16  // of TLS 1.2; none: the library's choice
	Curves       []tls.CurveID
	// Pinned are the SHA-256 sums, in lower-case hex, of the public keys that clients
	// may have; none: any.
	Pinned []string
}

// KeyPair is a certificate with its key, as PEM files.
type KeyPair struct{ CertFile, KeyFile string }

// ErrNotPinned says that a client's certificate is not one of those that may be.
var ErrNotPinned = errors.New("certificate is not pinned")

// Config reads the files and gives the configuration of a listener.
func (o *TLSOptions) Config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: o.MinVersion, CipherSuites: o.CipherSuites, CurvePreferences: o.Curves}
	if c.MinVersion == 0 {
		c.MinVersion = tls.VersionTLS12
	}
	if len(o.Pairs) == 0 {
		return nil, errors.New("TLS needs a certificate and its key")
	}
	for _, p := range o.Pairs {
		pair, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate %s: %w", p.CertFile, err)
		}
		c.Certificates = append(c.Certificates, pair)
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authorities: %w", err)
		}
		if c.ClientCAs = x509.NewCertPool(); !c.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the certificate authorities: %s has none", o.CAFile)
		}
	}
	if o.Verify {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if len(o.Pinned) > 0 {
		if c.ClientAuth == tls.NoClientCert {
			c.ClientAuth = tls.RequireAnyClientCert
		}
		c.VerifyConnection = o.pinned
	}
	return c, nil
}

func (o *TLSOptions) pinned(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return ErrNotPinned
	}
	sum := sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo)
	if !slices.Contains(o.Pinned, hex.EncodeToString(sum[:])) {
		return ErrNotPinned
	}
	return nil
}

// CipherSuite finds a suite by its name. Insecure says that it should not be used.
func CipherSuite(name string) (id uint16, insecure, ok bool) {
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, s := range list {
			if strings.EqualFold(s.Name, name) {
				return s.ID, s.Insecure, true
			}
		}
	}
	return 0, false, false
}

// Curve finds a curve by its name.
func Curve(name string) (tls.CurveID, bool) {
	for _, id := range []tls.CurveID{tls.CurveP256, tls.CurveP384, tls.CurveP521, tls.X25519, tls.X25519MLKEM768} {
		if strings.EqualFold(id.String(), name) {
			return id, true
		}
	}
	return 0, false
}

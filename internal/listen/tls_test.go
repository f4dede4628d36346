package listen

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificate writes a self-signed one and its key.
func certificate(t *testing.T, name string) (KeyPair, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := KeyPair{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	for file, b := range map[string]*pem.Block{p.CertFile: {Type: "CERTIFICATE", Bytes: der}, p.KeyFile: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p, cert
}

// handshake tries one and gives the server's error.
func handshake(t *testing.T, server *tls.Config, client *tls.Config) error {
	t.Helper()
	a, b := net.Pipe()
	done := make(chan error, 1)
	go func() {
		c := tls.Client(b, client)
		_ = c.Handshake()
		_, _ = c.Read(make([]byte, 1)) // takes what the server still has to say
		done <- b.Close()
	}()
	s := tls.Server(a, server)
	err := s.Handshake()
	if e := a.Close(); e != nil {
		t.Error(e)
	}
	<-done
	return err
}

func TestClientsHaveToShowWhatIsAskedFor(t *testing.T) {
	pair, _ := certificate(t, "server")
	known, cert := certificate(t, "client")
	other, _ := certificate(t, "client")
	load := func(p KeyPair) []tls.Certificate {
		c, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{c}
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	for name, c := range map[string]struct {
		options TLSOptions
		client  []tls.Certificate
		ok      bool
	}{
		"nothing asked":    {TLSOptions{}, nil, true},
		"verified":         {TLSOptions{Verify: true, CAFile: known.CertFile}, load(known), true},
		"nothing shown":    {TLSOptions{Verify: true, CAFile: known.CertFile}, nil, false},
		"another shown":    {TLSOptions{Verify: true, CAFile: known.CertFile}, load(other), false},
		"pinned":           {TLSOptions{Pinned: []string{hex.EncodeToString(sum[:])}}, load(known), true},
		"not pinned":       {TLSOptions{Pinned: []string{hex.EncodeToString(sum[:])}}, load(other), false},
		"pinned, none":     {TLSOptions{Pinned: []string{hex.EncodeToString(sum[:])}}, nil, false},
		"too old a client": {TLSOptions{MinVersion: tls.VersionTLS13}, nil, false},
	} {
		c.options.Pairs = []KeyPair{pair}
		config, err := c.options.Config()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		client := &tls.Config{InsecureSkipVerify: true, Certificates: c.client}
		if c.options.MinVersion != 0 {
			client.MaxVersion = tls.VersionTLS12
		}
		if err := handshake(t, config, client); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFilesThatCanNotBeReadAreErrors(t *testing.T) {
	pair, _ := certificate(t, "server")
	for name, o := range map[string]TLSOptions{
		"no pair":     {},
		"no file":     {Pairs: []KeyPair{{"gone.pem", "gone.pem"}}},
		"no CA file":  {Pairs: []KeyPair{pair}, CAFile: "gone.pem"},
		"no CA in it": {Pairs: []KeyPair{pair}, CAFile: pair.KeyFile},
	} {
		if c, err := o.Config(); err == nil {
			t.Errorf("%s: %v", name, c)
		}
	}
}

func TestSuitesAndCurvesAreFoundByName(t *testing.T) {
	if id, insecure, ok := CipherSuite("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"); !ok || insecure || id != tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 {
		t.Error(id, insecure, ok)
	}
	if _, insecure, ok := CipherSuite("TLS_RSA_WITH_RC4_128_SHA"); !ok || !insecure {
		t.Error(insecure, ok)
	}
	if _, _, ok := CipherSuite("x"); ok {
		t.Error("x is a suite")
	}
	if id, ok := Curve("X25519"); !ok || id != tls.X25519 {
		t.Error(id, ok)
	}
	if _, ok := Curve("x"); ok {
		t.Error("x is a curve")
	}
}

package server

import (
	"strings"
	"testing"
	"time"
)

func TestWebSocketsAreConfigured(t *testing.T) {
	c, err := loadText(t, `websocket {
  listen: "127.0.0.1:-1", no_tls: true, same_origin: true, allowed_origins: ["https://a.b"], handshake_timeout: "3s"
  user_cookie: u, pass_cookie: p, token_cookie: t, headers { X-A: b }, compression: true
}`)
	if err != nil {
		t.Fatal(err)
	}
	w := c.WebSocket
	if !w.Named || w.Host != "127.0.0.1" || w.Port != -1 || !w.NoTLS || !w.SameOrigin || len(w.AllowedOrigins) != 1 || w.HandshakeTimeout != 3*time.Second ||
		w.UserCookie != "u" || w.PassCookie != "p" || w.TokenCookie != "t" || w.Headers["X-A"] != "b" {
		t.Errorf("%+v", w)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "compression") {
		t.Errorf("warnings %q", c.Warnings)
	}
	for text, want := range map[string]string{
		`websocket { no_tls: true }`:                                      "needs a port",
		`websocket { port: 80 }`:                                          "needs tls, or no_tls",
		`websocket { port: 80, no_tls: true, no_auth_user: x }`:           "is not served yet",
		`websocket { port: 80, tls { cert_file: gone, key_file: gone } }`: "gone",
		`websocket { port: 80, tls { cert_file: gone } }`:                 "needs cert_file and key_file",
		`tls { }`: "needs cert_file and key_file",
		`tls { cert_file: gone, key_file: gone }`:                      "gone",
		`tls { cert_file: a, key_file: b, min_version: "1.1" }`:        "must be \"1.2\"",
		`tls { cert_file: a, key_file: b, cipher_suites: [NONE] }`:     "not a known cipher suite",
		`tls { cert_file: a, key_file: b, curve_preferences: [NONE] }`: "not a known curve",
		`tls { cert_file: a, key_file: b, pinned_certs: [zz] }`:        "not the SHA-256",
		`allow_non_tls: true`: "is not there",
		`tls { cert_file: a, key_file: b, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA] }`: "is not secure",
	} {
		if _, err := loadText(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

package harness

import (
	"fmt"
	"path/filepath"
	"testing"
)

// StartLiftbridge starts two servers of Liftbridge's interface and gives their addresses: one
// plain, one with TLS, and the file with who signed its certificate.
func StartLiftbridge(t *testing.T) (plain, secure, ca string) {
	t.Helper()
	authority, dir := NewAuthority(t), t.TempDir()
	authority.File(dir, "ca.pem", authority.PEM())
	authority.Write(dir, authority.Pair("server", false))
	in := func(name string) string { return filepath.Join(dir, name) }
	plain, secure = Free(t), Free(t)
	Start(t, fmt.Sprintf("liftbridge { listen: %q }", plain))
	Start(t, fmt.Sprintf("liftbridge { listen: %q, tls { cert: %q, key: %q } }", secure, in("cert.pem"), in("key.pem")))
	return plain, secure, in("ca.pem")
}

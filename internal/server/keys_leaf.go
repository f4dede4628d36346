package server

import (
	"crypto/tls"
	"strings"

	"github.com/nats-io/nkeys"
	"github.com/weirmq/weir/internal/account"
	leafdoor "github.com/weirmq/weir/internal/door/leaf"
	"github.com/weirmq/weir/internal/listen"
	"github.com/weirmq/weir/internal/subject"
)

// What of leaf nodes is not honoured, and why.
const (
	noteLeafListen   = "links from leaf nodes to this server are not served yet: it joins other systems, leafnodes { remotes }"
	noteLeafHub      = "this server is always the leaf: it announces what is subscribed here, and nothing of other links"
	noteLeafCompress = "links are not compressed"
	noteLeafCluster  = "clusters are not served yet: this server runs alone"
	noteLeafWeb      = "frames of WebSockets are masked and not compressed"
	noteLeafRetry    = "a link that takes nothing for the write deadline is closed, and made again"
	noteLeafIsolate  = "nothing of one link is ever told to another"
)

// leafKeys are those of the block for leaf nodes.
var leafKeys = block{
	{names: "remotes", set: func(c *Config, v value) {
		v.each(func(e value) {
			if r, ok := e.leafRemote(); ok {
				c.Leaf.Remotes = append(c.Leaf.Remotes, r)
			}
		})
	}},
	{names: "reconnect reconnect_delay reconnect_interval", set: func(c *Config, v value) { c.Leaf.Reconnect = v.duration() }},
	{names: "dial_timeout", set: func(c *Config, v value) { c.Leaf.Dial = v.duration() }},
	{names: "write_deadline", set: func(c *Config, v value) { c.Leaf.WriteDeadline = v.duration() }},
	{names: "write_timeout", note: noteLeafRetry},
	{names: "compression", set: leafCompression},
	{names: "listen host net port authorization tls advertise no_advertise min_version", note: noteLeafListen},
	{names: "isolate_leafnode_interest isolate", note: noteLeafIsolate},
}

// leafCompression warns where compression is asked for.
func leafCompression(_ *Config, v value) {
	inner := v
	if m, ok := v.v.(map[string]any); ok {
		inner = v.wrap("mode", m["mode"])
	}
	switch x := inner.v.(type) {
	case bool:
		if !x {
			return
		}
	case string:
		switch strings.ToLower(x) {
		case "off", "disabled", "accept":
			return
		}
	}
	v.warning("known, but not honoured: %s", noteLeafCompress)
}

// leafRemote reads one system to join. ok is false where it is switched off.
func (v value) leafRemote() (r LeafRemote, ok bool) {
	r.Account = account.Global
	disabled := false
	v.block(block{
		{names: "url urls", set: func(_ *Config, v value) { r.URLs = append(r.URLs, v.leafURLs()...) }},
		{names: "account local", set: func(_ *Config, v value) { r.Account = v.str() }},
		{names: "credentials creds", set: func(_ *Config, v value) { r.Credentials = v.credential() }},
		{names: "nkey seed", set: func(_ *Config, v value) {
			r.Seed = v.str()
			if p, _, err := nkeys.DecodeSeed([]byte(r.Seed)); err != nil || p != nkeys.PrefixByteUser {
				v.fail("is not the seed of a user's key")
			}
		}},
		{names: "tls", set: func(_ *Config, v value) { r.TLS = v.leafTLS() }},
		{names: "deny_imports deny_import", set: func(_ *Config, v value) { r.DenyImports = v.patterns() }},
		{names: "deny_exports deny_export", set: func(_ *Config, v value) { r.DenyExports = v.patterns() }},
		{names: "no_randomize", set: func(_ *Config, v value) { r.InOrder = v.boolean() }},
		{names: "ignore_discovered_servers", set: func(_ *Config, v value) { r.OnlyNamed = v.boolean() }},
		{names: "request_isolation", set: func(_ *Config, v value) { r.Isolate = v.boolean() }},
		{names: "first_info_timeout", set: func(_ *Config, v value) { r.FirstInfo = v.duration() }},
		{names: "dial_timeout", set: func(_ *Config, v value) { r.Dial = v.duration() }},
		{names: "disabled", set: func(_ *Config, v value) { disabled = v.boolean() }},
		{names: "compression", set: leafCompression},
		{names: "hub", set: func(_ *Config, v value) {
			if v.boolean() {
				v.warning("known, but not honoured: %s", noteLeafHub)
			}
		}},
		{names: "isolate_leafnode_interest isolate", note: noteLeafIsolate},
		{names: "ws_compression ws_no_masking", note: noteLeafWeb},
		{names: "jetstream_cluster_migrate js_cluster_migrate", note: noteLeafCluster},
		{names: "proxy", set: refuse("proxies are not served yet: without one this server would go another way than it is to")},
	})
	if len(r.URLs) == 0 && !disabled {
		v.fail("needs url or urls")
	}
	if r.Credentials != "" && r.Seed != "" {
		v.fail("one of credentials and nkey says who this server is, not both")
	}
	return r, !disabled
}

func (v value) leafURLs() []string {
	list := v.strs()
	for _, s := range list {
		if err := leafdoor.ParseURL(s); err != nil {
			v.fail("%s", err)
		}
	}
	return list
}

// patterns is a list of subjects.
func (v value) patterns() []string {
	list := v.strs()
	for _, s := range list {
		if !subject.ValidPattern(s) {
			v.fail("%q is not a valid subject", s)
		}
	}
	return list
}

// leafTLS reads how a connection to another server is secured.
func (v value) leafTLS() LeafTLS {
	t := LeafTLS{Named: true}
	v.block(block{
		{names: "cert_file", set: func(_ *Config, v value) { t.CertFile = v.str() }},
		{names: "key_file", set: func(_ *Config, v value) { t.KeyFile = v.str() }},
		{names: "ca_file", set: func(_ *Config, v value) { t.CAFile = v.str() }},
		{names: "timeout", set: func(_ *Config, v value) { t.Timeout = v.duration() }},
		{names: "handshake_first first immediate", set: func(_ *Config, v value) { t.First = v.boolean() }},
		{names: "insecure", set: func(_ *Config, v value) {
			if t.Insecure = v.boolean(); t.Insecure {
				v.warning("the certificate of the other server is not verified: whoever is between can read and change everything")
			}
		}},
		{names: "min_version minversion", set: func(_ *Config, v value) {
			switch v.str() {
			case "1.2":
				t.MinVersion = tls.VersionTLS12
			case "1.3":
				t.MinVersion = tls.VersionTLS13
			default:
				v.fail("must be \"1.2\" or \"1.3\"")
			}
		}},
		{names: "cipher_suites", set: func(_ *Config, v value) {
			for _, name := range v.strs() {
				id, insecure, ok := listen.CipherSuite(name)
				if !ok || insecure {
					v.fail("%q is not a known and secure cipher suite", name)
				}
				t.Suites = append(t.Suites, id)
			}
		}},
		{names: "curve_preferences", set: func(_ *Config, v value) {
			for _, name := range v.strs() {
				id, ok := listen.Curve(name)
				if !ok {
					v.fail("%q is not a known curve", name)
				}
				t.Curves = append(t.Curves, id)
			}
		}},
		{names: "verify verify_and_map verify_cert_and_check_known_urls connection_rate_limit pinned_certs", note: "it is for those who accept connections"},
		{names: "certs certificates ocsp_peer cert_store cert_match_by cert_match cert_match_skip_invalid ca_certs_match", set: refuse("a certificate is read from cert_file and key_file only")},
	})
	if (t.CertFile == "") != (t.KeyFile == "") {
		v.fail("cert_file and key_file belong together")
	}
	return t
}

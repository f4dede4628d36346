package leaf

import (
	"encoding/json"
	"fmt"
)

// Info is the document of INFO, as the accepting side sends it: first when the
// connection is there, then with ConnectInfo when the other side is let in, and whenever
// something changes.
type Info struct {
	ServerID    string   `json:"server_id"`
	ServerName  string   `json:"server_name"`
	Version     string   `json:"version"`
	Proto       int      `json:"proto"`
	Headers     bool     `json:"headers"`
	TLSRequired bool     `json:"tls_required,omitempty"`
	TLSVerify   bool     `json:"tls_verify,omitempty"`
	MaxPayload  int      `json:"max_payload"` // bytes
	ClientID    uint64   `json:"client_id"`   // 0: this is no listener for leaf nodes
	Nonce       string   `json:"nonce,omitempty"`
	Cluster     string   `json:"cluster,omitempty"`
	Domain      string   `json:"domain,omitempty"` // of its JetStream
	JetStream   bool     `json:"jetstream,omitempty"`
	Compression string   `json:"compression,omitempty"`
	LeafURLs    []string `json:"leafnode_urls,omitempty"`   // host:port of listeners for leaf nodes
	WebURLs     []string `json:"ws_connect_urls,omitempty"` // the same for WebSockets
	LameDuck    bool     `json:"ldm,omitempty"`
	// InfoOnConnect says that an INFO with ConnectInfo answers CONNECT.
	InfoOnConnect bool   `json:"info_on_connect,omitempty"`
	ConnectInfo   bool   `json:"connect_info,omitempty"`
	RemoteAccount string `json:"remote_account,omitempty"`
	SystemAccount bool   `json:"acc_is_sys,omitempty"`
	// Import is what the connecting side may be interested in, Export what it may send;
	// nil: anything.
	Import *Rule `json:"import,omitempty"`
	Export *Rule `json:"export,omitempty"`
}

// Rule are subjects. Where there is an Allow, nothing else is allowed.
type Rule struct {
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
}

// Decode reads the argument of INFO over what i holds: keys that are absent keep their
// value, unknown ones are ignored. On an error i is unchanged.
func (i *Info) Decode(arg []byte) error {
	changed := *i
	if err := json.Unmarshal(arg, &changed); err != nil {
		return fmt.Errorf("read INFO: %w", err)
	}
	*i = changed
	return nil
}

// Connect is the document of CONNECT.
type Connect struct {
	Version   string   `json:"version,omitempty"` // the level of NATS
	NKey      string   `json:"nkey,omitempty"`    // public
	JWT       string   `json:"jwt,omitempty"`
	Sig       string   `json:"sig,omitempty"` // of the nonce, base64
	User      string   `json:"user,omitempty"`
	Pass      string   `json:"pass,omitempty"`
	Token     string   `json:"auth_token,omitempty"`
	ID        string   `json:"server_id,omitempty"`
	Domain    string   `json:"domain,omitempty"`
	Name      string   `json:"name,omitempty"` // of the server
	Cluster   string   `json:"cluster,omitempty"`
	Headers   bool     `json:"headers,omitempty"`
	JetStream bool     `json:"jetstream,omitempty"`
	DenyPub   []string `json:"deny_pub,omitempty"` // what the accepting side is not to send
	Isolate   bool     `json:"isolate,omitempty"`  // it is not to tell of the interest of other leaf nodes
	// Compression is what the connecting side wants: "off".
	Compression string `json:"compress_mode,omitempty"`
	// RemoteAccount is the connecting side's account.
	RemoteAccount string `json:"remote_account,omitempty"`
	Proto         int    `json:"protocol,omitempty"`
}

// Decode reads the argument of CONNECT.
func (c *Connect) Decode(arg []byte) error {
	var read Connect
	if err := json.Unmarshal(arg, &read); err != nil {
		return fmt.Errorf("read CONNECT: %w", err)
	}
	*c = read
	return nil
}

// AppendInfo appends INFO with its document. It allocates.
func AppendInfo(dst []byte, i *Info) []byte { return appendDocument(dst, "INFO ", i) }

// AppendConnect appends CONNECT with its document. It allocates.
func AppendConnect(dst []byte, c *Connect) []byte { return appendDocument(dst, "CONNECT ", c) }

func appendDocument(dst []byte, verb string, v any) []byte {
	document, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("leaf: encode %s: %v", verb, err)) // no field can fail
	}
	return append(append(append(dst, verb...), document...), "\r\n"...)
}

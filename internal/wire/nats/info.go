package nats

import (
	"encoding/json"
	"fmt"
)

// Info is the document of INFO. Its fields are in the order in which they are
// written; a field with omitempty or omitzero is left out where it says nothing.
type Info struct {
	ServerID       string   `json:"server_id"`
	ServerName     string   `json:"server_name"`
	Version        string   `json:"version"` // the level of NATS that clients gate features by
	Proto          int      `json:"proto"`   // always 1
	GitCommit      string   `json:"git_commit,omitempty"`
	Go             string   `json:"go"`
	Host           string   `json:"host"`
	Port           int      `json:"port"`
	Headers        bool     `json:"headers"`
	AuthRequired   bool     `json:"auth_required,omitempty"`
	TLSRequired    bool     `json:"tls_required,omitempty"`
	TLSVerify      bool     `json:"tls_verify,omitempty"`
	TLSAvailable   bool     `json:"tls_available,omitempty"`
	MaxPayload     int32    `json:"max_payload"` // bytes, for this connection
	JetStream      bool     `json:"jetstream,omitempty"`
	IP             string   `json:"ip,omitempty"`
	ClientID       uint64   `json:"client_id"`
	ClientIP       string   `json:"client_ip,omitempty"`
	Nonce          string   `json:"nonce,omitempty"` // to be signed with an nkey
	Cluster        string   `json:"cluster,omitempty"`
	ClusterDynamic bool     `json:"cluster_dynamic,omitempty"`
	Domain         string   `json:"domain,omitempty"`
	ConnectURLs    []string `json:"connect_urls,omitempty"` // host:port each, this server's own first
	LameDuck       bool     `json:"ldm,omitempty"`
	ConnectInfo    bool     `json:"connect_info,omitempty"` // only in the INFO after the first PING
	RemoteAccount  string   `json:"remote_account,omitempty"`
	SystemAccount  bool     `json:"acc_is_sys,omitempty"`
	APILevel       int      `json:"api_lvl"`
	XKey           string   `json:"xkey,omitempty"`
	WeirVersion    string   `json:"weir_version"` // ours; clients ignore it
}

// AppendInfo appends INFO with its document. It allocates.
func AppendInfo(dst []byte, info *Info) []byte {
	document, err := json.Marshal(info)
	if err != nil {
		panic(fmt.Sprintf("nats: encode INFO: %v", err)) // no field of Info can fail
	}
	dst = append(dst, "INFO "...)
	dst = append(dst, document...)
	return append(dst, " \r\n"...)
}

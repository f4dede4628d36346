package nats

import "encoding/json"

// Connect is the document of CONNECT. The zero value is not what a client has that
// never sent one: that is NewConnect.
type Connect struct {
	Verbose      bool   `json:"verbose"`
	Pedantic     bool   `json:"pedantic"`
	TLSRequired  bool   `json:"tls_required"`
	Echo         bool   `json:"echo"`
	Token        string `json:"auth_token"`
	User         string `json:"user"`
	Pass         string `json:"pass"`
	Name         string `json:"name"`
	Lang         string `json:"lang"`
	Version      string `json:"version"`
	Protocol     int    `json:"protocol"` // 1: understands an INFO at any time
	Headers      bool   `json:"headers"`
	NoResponders bool   `json:"no_responders"`
	NKey         string `json:"nkey"` // public
	JWT          string `json:"jwt"`
	Sig          string `json:"sig"` // of the nonce, base64
	ProxySig     string `json:"proxy_sig"`
	Account      string `json:"account"`     // obsolete; refused
	NewAccount   bool   `json:"new_account"` // obsolete; refused
}

// NewConnect gives the settings of a connection before its first CONNECT.
func NewConnect() Connect {
	return Connect{Verbose: true, Pedantic: true, Echo: true}
}

// Decode reads the argument of CONNECT over what c holds: keys that are absent
// keep their value, unknown ones are ignored. The error is an *Error; c is then
// unchanged.
func (c *Connect) Decode(arg []byte) error {
	next := *c
	if err := json.Unmarshal(arg, &next); err != nil {
		return ErrConnectJSON
	}
	*c = next
	return nil
}

// Check says whether the settings go together. The error is an *Error.
func (c *Connect) Check() error {
	switch {
	case c.Account != "" || c.NewAccount:
		return ErrAccountField
	case c.Protocol < 0 || c.Protocol > 1:
		return ErrClientProtocol
	case c.NoResponders && !c.Headers:
		return ErrNoRespHeaders
	}
	return nil
}

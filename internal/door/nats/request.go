package nats

import (
	"encoding/json"
	"time"

	wire "github.com/weirmq/weir/internal/wire/nats"
)

// said is the last value of the header that says who asks, with what it was made of.
type said struct {
	id    *Identity
	rtt   time.Duration
	share bool
	via   string
	value []byte
}

// AppendRequestHeader implements broker.Requester. Only the reader calls it.
func (c *Conn) AppendRequestHeader(dst, header []byte, share bool, via string) []byte {
	id, rtt := c.identity.Load(), time.Duration(c.ping.rtt.Load())
	if s := &c.said; s.value == nil || s.id != id || s.rtt != rtt || s.share != share || s.via != via {
		*s = said{id: id, rtt: rtt, share: share, via: via, value: c.requestInfo(id, rtt, share, via)}
	}
	return wire.AppendHeaderWith(dst, header, wire.RequestInfoKey, c.said.value)
}

func (c *Conn) requestInfo(id *Identity, rtt time.Duration, share bool, via string) []byte {
	info := wire.RequestInfo{Account: id.Account, Service: via, RTT: rtt}
	if share {
		start := c.start.UTC()
		info.Start, info.Host, info.ID, info.User = &start, c.host, c.id, id.User
		info.Name, info.Lang, info.Version = c.connect.Name, c.connect.Lang, c.connect.Version
		info.Server, info.Kind, info.ClientType = c.door.info.Load().ServerName, "Client", "nats"
	}
	value, err := json.Marshal(&info)
	if err != nil {
		panic(err) // it has no field that can fail
	}
	return value
}

package server

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/weirmq/weir/internal/listen"
)

// listenNATS binds the address for NATS clients. There is none where Liftbridge's
// interface is to be the only one, or where this server stands beside another one that
// has the address.
func (p *process) listenNATS() error {
	if l := &p.config.Liftbridge; l.Enabled && l.NATSOff {
		p.log.Info("not listening for NATS clients: nats_api is off")
		return nil
	}
	addr := net.JoinHostPort(p.config.Host, strconv.Itoa(max(p.config.Port, 0)))
	ln, err := listen.TCP(addr, func(err error, pause time.Duration) {
		p.log.Warn("client not accepted", "error", err, "retry_in", pause)
	})
	switch {
	case err == nil:
		p.ln = ln
	case !p.beside(err):
		return fmt.Errorf("listen for NATS clients: %w: is another server running there? -p chooses another port", err)
	}
	return nil
}

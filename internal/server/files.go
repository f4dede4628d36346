package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"

	wire "github.com/weirmq/weir/internal/wire/nats"
)

// advertise puts the address that clients are told into INFO. A server that is alone
// names no others to go to.
func (p *process) advertise() error {
	if p.ln == nil {
		return nil
	}
	host, port, err := net.SplitHostPort(p.natsAddr())
	if err != nil {
		return fmt.Errorf("read the bound address: %w", err)
	}
	if p.config.HostNamed {
		host = p.config.Host
	}
	if a := p.config.ClientAdvertise; a != "" {
		if host, port, err = net.SplitHostPort(a); err != nil {
			return fmt.Errorf("read client_advertise: %w", err)
		}
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("read the port of %q: %w", port, err)
	}
	p.rooms.nats.UpdateInfo(func(i *wire.Info) { i.Host, i.Port = host, n }, false)
	return nil
}

// writePid writes the process id where it was asked for.
func (p *process) writePid() error {
	if p.config.PidFile == "" {
		return nil
	}
	if err := os.WriteFile(p.config.PidFile, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return fmt.Errorf("write the pid file: %w", err)
	}
	return nil
}

// portsFile is the name of the file with the bound ports; empty if none is wanted.
func (p *process) portsFile() string {
	if p.config.PortsFileDir == "" {
		return ""
	}
	return filepath.Join(p.config.PortsFileDir, fmt.Sprintf("%s_%d.ports", filepath.Base(os.Args[0]), os.Getpid()))
}

// writePorts writes the bound addresses where it was asked for.
func (p *process) writePorts() error {
	name := p.portsFile()
	if name == "" {
		return nil
	}
	ports := map[string][]string{}
	if a := p.natsAddr(); a != "" {
		ports["nats"] = []string{"nats://" + a}
	}
	if a := p.http.addr(); a != "" {
		ports["monitoring"] = []string{"http://" + a}
	}
	if url := p.webURL(); url != "" {
		ports["websocket"] = []string{url}
	}
	b, err := json.Marshal(ports)
	if err != nil {
		return fmt.Errorf("encode the ports: %w", err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		return fmt.Errorf("write the ports file: %w", err)
	}
	return nil
}

// removeFiles takes away what is only true while the server runs.
func (p *process) removeFiles() {
	for _, name := range []string{p.config.PidFile, p.portsFile()} {
		if name == "" {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.log.Warn("file not removed", "file", name, "error", err)
		}
	}
}

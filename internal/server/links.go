package server

import (
	"fmt"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/subject"
)

// links are what the accounts have of each other, as it is in force.
type links struct {
	services map[string]func() // what ends each service import, by all that it says
}

// systemServices are what every account has of the system account.
var systemServices = []string{
	"$SYS.REQ.USER.INFO", "$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.ACCOUNT.PING.STATZ", "$SYS.REQ.SERVER.PING.CONNZ",
}

// link puts the imports of all accounts in force. Those that stay as they are go on.
func (r *rooms) link(system string) error {
	accounts := r.accounts.All()
	joined, err := account.Join(accounts)
	if err != nil {
		return err
	}
	if r.accounts.Find(system) != nil {
		joined = append(joined, systemLinks(accounts, system)...)
	}
	streams := map[string][]broker.StreamImport{}
	next := map[string]func(){}
	for i := range joined {
		l := &joined[i]
		from := r.spaces.Get(l.Import.Account)
		if l.Import.Kind == account.Stream {
			streams[l.Importer] = append(streams[l.Importer], broker.StreamImport{From: from, Mapping: l.Mapping})
			continue
		}
		key := fmt.Sprint(l.Importer, " ", l.Import.Account, " ", l.Mapping, l.Import.Share, l.Export.Response, l.Export.Threshold)
		if stop := r.links.services[key]; stop != nil {
			next[key] = stop
			continue
		}
		next[key] = r.spaces.Get(l.Importer).ImportService(broker.ServiceImport{
			From: from, Mapping: l.Mapping, Share: l.Import.Share, Response: l.Export.Response, Threshold: l.Export.Threshold,
		})
	}
	for key, stop := range r.links.services {
		if next[key] == nil {
			stop()
		}
	}
	r.links.services = next
	for name := range streams {
		r.spaces.Get(name)
	}
	for _, s := range r.spaces.All() {
		s.ImportStreams(streams[s.Name()])
	}
	return nil
}

// systemLinks are the imports that are always there.
func systemLinks(accounts []*account.Account, system string) []account.Link {
	var out []account.Link
	for _, a := range accounts {
		if a.Name == system {
			continue
		}
		for _, s := range systemServices {
			m, err := subject.ParseMapping(s, "")
			if err != nil {
				panic(err) // they are constants
			}
			out = append(out, account.Link{
				Importer: a.Name, Mapping: m,
				Import: account.Import{Kind: account.Service, Account: system, Subject: s, Share: true},
				Export: account.Export{Kind: account.Service, Subject: s},
			})
		}
	}
	return out
}

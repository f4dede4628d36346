package server

import (
	"strings"

	"github.com/weirmq/weir/internal/account"
)

// exports reads what an account lets others have.
func (v value) exports() []account.Export {
	var out []account.Export
	v.each(func(e value) {
		x := account.Export{}
		kinds := 0
		service := func(k account.Kind) func(*Config, value) {
			return func(_ *Config, v value) {
				kinds++
				x.Kind, x.Subject = k, v.str()
			}
		}
		onlyService := ""
		e.block(block{
			{names: "stream", set: service(account.Stream)},
			{names: "service", set: service(account.Service)},
			{names: "accounts", set: func(_ *Config, v value) { x.Private, x.Accounts = true, v.strs() }},
			{names: "account_token_position", set: func(_ *Config, v value) { x.Token = v.count(1, 1<<16) }},
			{names: "response response_type", set: func(_ *Config, v value) { onlyService, x.Response = v.key, v.response() }},
			{names: "threshold response_threshold response_time response_max_time", set: func(_ *Config, v value) {
				onlyService, x.Threshold = v.key, v.duration()
			}},
			{names: "latency", note: "the time that services take is not measured yet"},
			{names: "allow_trace", note: noteMessageTrace},
		})
		switch {
		case kinds != 1:
			e.fail("must name one stream or one service")
			return
		case onlyService != "" && x.Kind != account.Service:
			e.fail("%s is for services", onlyService)
			return
		case x.Token > 0 && x.Private:
			e.fail("account_token_position says who may import, and so does accounts: only one of them may stand here")
			return
		}
		out = append(out, x)
	})
	return out
}

func (v value) response() account.Response {
	switch strings.ToLower(v.str()) {
	case "single", "singleton":
		return account.Singleton
	case "stream", "streamed":
		return account.Streamed
	case "chunk", "chunked":
		return account.Chunked
	}
	v.fail("must be singleton, stream or chunked")
	return account.Singleton
}

// imports reads what an account has of others.
func (v value) imports() []account.Import {
	var out []account.Import
	v.each(func(e value) {
		x := account.Import{}
		kinds, prefix, shared := 0, "", false
		from := func(k account.Kind) func(*Config, value) {
			return func(_ *Config, v value) {
				kinds++
				x.Kind = k
				v.block(block{
					{names: "account", set: func(_ *Config, v value) { x.Account = v.str() }},
					{names: "subject", set: func(_ *Config, v value) { x.Subject = v.str() }},
				})
			}
		}
		e.block(block{
			{names: "stream", set: from(account.Stream)},
			{names: "service", set: from(account.Service)},
			{names: "to", set: func(_ *Config, v value) { x.Local = v.str() }},
			{names: "prefix", set: func(_ *Config, v value) { prefix = strings.TrimSuffix(v.str(), ".") }},
			{names: "share", set: func(_ *Config, v value) { x.Share, shared = v.boolean(), true }},
			{names: "allow_trace", note: noteMessageTrace},
		})
		switch {
		case kinds != 1 || x.Account == "" || x.Subject == "":
			e.fail("must name one stream or one service, as {account: NAME, subject: SUBJECT}")
			return
		case prefix != "" && x.Local != "":
			e.fail("to and prefix are two ways to say the same: only one of them may stand here")
			return
		case prefix != "" && x.Kind != account.Stream:
			e.fail("prefix is for streams: a service has to")
			return
		case shared && x.Kind != account.Service:
			e.fail("share is for services")
			return
		case prefix != "":
			x.Local = prefix + "." + x.Subject
		}
		out = append(out, x)
	})
	return out
}

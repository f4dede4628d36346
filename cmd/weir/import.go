package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newImport(a *app) *cobra.Command {
	return parent(groupStreams, "import", "Bring streams over from another server",
		`Copies streams with all that belongs to them from another server into this one, and
verifies the copy. An import that was interrupted goes on where it was.`,
		`  weir import jetstream --from nats://old.example:4222 --dry-run
  weir import jetstream --from nats://old.example:4222
  weir import stan /var/lib/nats-streaming
  weir import stan --from nats://old.example:4222 --monitor http://old.example:8222
  weir import liftbridge /var/lib/liftbridge
  weir import liftbridge --from old.example:9292`,
		newImportJetStream(a), newImportStan(a), newImportLiftbridge(a))
}

// fromFlags say of which server, and who asks it.
type fromFlags struct {
	from, user, pass, token, creds, nkey string
	ca, cert, key                        string
}

// importFlags say where from, and what.
type importFlags struct {
	fromFlags
	domain                    string
	streams, without          []string
	work                      string
	dryRun, keep, noConsumers bool
}

const importLong = `Copies streams from a running NATS server (--from) into a running weir (--server):
their settings, their messages with sequences, gaps, times and headers, and their
durable consumers with their positions. All streams are copied, or those that --stream
names; key-value buckets and object stores are the streams KV_* and OBJ_*.

Messages are gathered in --work first. A stream is made of them in one go when all are
there: nobody sees half of one. Then it is read back and compared, message by message.
Whatever ends an import, the same command goes on where it was: what was gathered stays
until it is verified.

What cannot be carried over is listed at the end, and by --dry-run before. The old
server is only read. Stop its publishers and consumers before the last run: what
changes afterwards is not in the copy.

Exit status: 0 all is there and verified, 1 not.`

const importExample = `  weir import jetstream --from nats://old.example:4222 --dry-run
  weir import jetstream --from nats://old.example:4222 --from-creds old.creds
  weir import jetstream --from tls://old.example:4222 --from-ca ca.pem --stream ORDERS --stream 'KV_*'
  weir import jetstream --from nats://old.example:4222 -s nats://new.example:4222 --work /var/tmp/import`

func newImportJetStream(a *app) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:     "jetstream --from URL",
		Short:   "Copy streams from a NATS server, with sequences, times and consumers",
		Long:    importLong,
		Example: importExample,
		Args:    arguments(0, 0),
	}
	f.bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.from == "" {
			return usagef(cmd, "say which server to copy from: --from nats://HOST:4222")
		}
		if err := f.check(cmd); err != nil {
			return err
		}
		for _, pattern := range f.streams {
			if _, err := path.Match(pattern, ""); err != nil {
				return usagef(cmd, "--stream %q is no name or pattern", pattern)
			}
		}
		return a.importJetStream(cmd.Context(), &f)
	}
	return cmd
}

// bind is for a server that NATS clients connect to.
func (f *fromFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.from, "from", "", "`URL` of the server to copy from, several with commas")
	flags.StringVar(&f.creds, "from-creds", "", "credentials `file` for there")
	flags.StringVar(&f.nkey, "from-nkey", "", "`file` with an nkey seed for there")
	f.bindAccess(flags)
}

// bindAccess is for what all servers have in common.
func (f *fromFlags) bindAccess(flags *pflag.FlagSet) {
	flags.StringVar(&f.user, "from-user", "", "user name there")
	flags.StringVar(&f.pass, "from-password", "", "password there (WEIR_FROM_PASSWORD)")
	flags.StringVar(&f.token, "from-token", "", "access token there (WEIR_FROM_TOKEN)")
	flags.StringVar(&f.ca, "from-ca", "", "`file` with the authority that its certificate is of")
	flags.StringVar(&f.cert, "from-cert", "", "`file` with a client certificate for there")
	flags.StringVar(&f.key, "from-key", "", "`file` with the key of --from-cert")
}

// check says what does not fit.
func (f *fromFlags) check(cmd *cobra.Command) error {
	if (f.cert == "") != (f.key == "") {
		return usagef(cmd, "--from-cert and --from-key belong together")
	}
	return nil
}

func (f *importFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.fromFlags.bind(flags)
	flags.StringVar(&f.domain, "from-domain", "", "JetStream `domain` there")
	flags.StringArrayVar(&f.streams, "stream", nil, "only streams of this `name`; * stands for any part of it")
	flags.StringSliceVar(&f.without, "without", nil, "leave these `settings` of streams out, by their names in JSON")
	flags.BoolVar(&f.noConsumers, "no-consumers", false, "leave the consumers out")
	flags.StringVar(&f.work, "work", "weir-import", "`directory` that messages are gathered in")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be copied and what not, and change nothing")
	flags.BoolVar(&f.keep, "keep", false, "keep what was gathered, also once it is verified")
}

// dirFlags are for imports that read a directory, or gather from a running server.
type dirFlags struct {
	dir, work                 string
	skipDamaged, dryRun, keep bool
}

func (f *dirFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.work, "work", "weir-import", "`directory` that messages of --from are gathered in")
	flags.BoolVar(&f.skipDamaged, "skip-damaged", false, "leave damaged records of DIR out and name them")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be copied, and change nothing; of DIR, read everything")
	flags.BoolVar(&f.keep, "keep", false, "keep what was gathered, also once it is verified")
}

// choose takes the directory from the arguments, unless --from is given; example is such
// an address.
func (f *dirFlags) choose(cmd *cobra.Command, args []string, from, example string) error {
	if (len(args) == 0) == (from == "") {
		return usagef(cmd, "say where from: the directory DIR, or --from %s", example)
	}
	if from == "" {
		f.dir = args[0]
	}
	return nil
}

// options connect to the server that is copied from.
func (f *fromFlags) options(a *app, closed func(error)) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name("weir import"), nats.Timeout(a.timeout), nats.NoReconnect(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // what matters shows in what does not come
		nats.ClosedHandler(func(nc *nats.Conn) { closed(nc.LastError()) }),
	}
	if f.user != "" {
		opts = append(opts, nats.UserInfo(f.user, orEnv(f.pass, a.getenv, "WEIR_FROM_PASSWORD")))
	}
	if token := orEnv(f.token, a.getenv, "WEIR_FROM_TOKEN"); token != "" {
		opts = append(opts, nats.Token(token))
	}
	if f.creds != "" {
		opts = append(opts, nats.UserCredentials(f.creds))
	}
	if f.nkey != "" {
		o, err := nats.NkeyOptionFromSeed(f.nkey)
		if err != nil {
			return nil, fmt.Errorf("read the nkey: %w", err)
		}
		opts = append(opts, o)
	}
	if f.ca != "" {
		opts = append(opts, nats.RootCAs(f.ca))
	}
	if f.cert != "" {
		opts = append(opts, nats.ClientCert(f.cert, f.key))
	}
	return opts, nil
}

// wants says whether a stream was chosen.
func (f *importFlags) wants(stream string) bool {
	return len(f.streams) == 0 || slices.ContainsFunc(f.streams, func(pattern string) bool {
		ok, err := path.Match(pattern, stream)
		return err == nil && ok
	})
}

// imported is what became of one stream.
type imported struct {
	Stream string `json:"stream"`
	fate
	Consumers []string `json:"consumers,omitempty"`
	Resumed   uint64   `json:"resumed,omitempty"` // messages that an earlier run had gathered
}

// importJetStream copies the chosen streams, one after the other. One that fails does
// not keep the others from being copied.
func (a *app) importJetStream(ctx context.Context, f *importFlags) error {
	start := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	src, err := a.openOrigin(f, func(error) { cancel(errLost) })
	if err != nil {
		return err
	}
	defer src.nc.Close()
	streams, err := src.streams(ctx, f.wants)
	if err != nil {
		return fmt.Errorf("list the streams of %s: %w", redact(f.from), err)
	}
	if len(streams) == 0 {
		return fmt.Errorf("%s has no such streams", redact(f.from))
	}
	var all []*imported
	copies := func(yield func(string, copying) bool) {
		for _, s := range streams {
			m := &importing{app: a, flags: f, src: src, info: s, out: &imported{Stream: s.Name()}}
			m.out.FirstSeq, m.out.LastSeq = s.State.FirstSeq, s.State.LastSeq
			all = append(all, m.out)
			if !yield(s.Name(), m) {
				return
			}
		}
	}
	return a.copyAll(ctx, "stream", f.dryRun, copies, func() error { return a.showImported(all, f.dryRun, time.Since(start)) })
}

func (a *app) showImported(all []*imported, dryRun bool, took time.Duration) error {
	if a.asJSON {
		return a.printJSON(all)
	}
	t := newFates("STREAM", "CONSUMERS")
	for _, r := range all {
		result := "verified"
		switch {
		case r.Error != "":
			result = "not imported"
		case dryRun:
			result = "to be copied"
		case r.Resumed > 0:
			result = fmt.Sprintf("verified, %s of an earlier run", thousands(r.Resumed))
		}
		t.add(r.Stream, &r.fate, len(r.Consumers), result)
	}
	return t.print(a, "stream", "streams", took)
}

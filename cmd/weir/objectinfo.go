package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

// storeFacts are what an object store is and holds, as programs see it.
type storeFacts struct {
	Store       string            `json:"store"`
	Description string            `json:"description,omitempty"`
	TTL         time.Duration     `json:"ttl,omitempty"`
	Storage     string            `json:"storage"`
	Replicas    int               `json:"num_replicas"`
	Sealed      bool              `json:"sealed"`
	Compressed  bool              `json:"compressed"`
	Bytes       uint64            `json:"bytes"` // with what stores add to objects
	Stream      string            `json:"stream"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

func factsOfStore(st jetstream.ObjectStoreStatus) *storeFacts {
	return &storeFacts{
		Store: st.Bucket(), Description: st.Description(), TTL: st.TTL(), Storage: strings.ToLower(st.Storage().String()), Replicas: st.Replicas(),
		Sealed: st.Sealed(), Compressed: st.IsCompressed(), Bytes: st.Size(), Stream: "OBJ_" + st.Bucket(), Metadata: st.Metadata(),
	}
}

func newObjectLs(a *app) *cobra.Command {
	var names bool
	cmd := &cobra.Command{
		Use:     "ls [STORE]",
		Aliases: []string{"list"},
		Short:   "List object stores, or the objects of one",
		Long:    "Lists the object stores of the account, or the objects of STORE with their sizes.",
		Example: "  weir object ls\n  weir object ls FILES\n  weir object ls FILES --names",
		Args:    arguments(0, 1),
	}
	cmd.Flags().BoolVar(&names, "names", false, "print names only, one a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withLiveStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			if len(args) == 0 {
				return a.listStores(ctx, js, names)
			}
			obs, err := openStore(ctx, js, args[0])
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, transferLimit)
			defer cancel()
			list, err := obs.List(ctx)
			if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
				return fmt.Errorf("list the objects of store %s: %w", args[0], lostOr(ctx, err))
			}
			slices.SortFunc(list, func(x, y *jetstream.ObjectInfo) int { return strings.Compare(x.Name, y.Name) })
			return a.showObjects(args[0], list, names)
		})
	}
	return cmd
}

func (a *app) listStores(ctx context.Context, js jetstream.JetStream, names bool) error {
	list := []*storeFacts{}
	lister := js.ObjectStores(ctx)
	for st := range lister.Status() {
		list = append(list, factsOfStore(st))
	}
	if err := lister.Error(); err != nil {
		return fmt.Errorf("list object stores: %w", err)
	}
	slices.SortFunc(list, func(x, y *storeFacts) int { return strings.Compare(x.Store, y.Store) })
	const none = "No object stores. `weir object add NAME` makes one."
	switch {
	case names:
		all := make([]string, 0, len(list))
		for _, f := range list {
			all = append(all, f.Store)
		}
		return a.showNames(all, none)
	case a.asJSON:
		return a.printJSON(list)
	case len(list) == 0:
		a.note(none)
		return nil
	}
	t := newTable("NAME", "STORAGE", ">TTL", ">BYTES", "SEALED", "DESCRIPTION")
	for _, f := range list {
		sealed := "no"
		if f.Sealed {
			sealed = "yes"
		}
		t.add(f.Store, f.Storage, limitAge(f.TTL), humanBytes(f.Bytes), sealed, shorten(f.Description, 40))
	}
	return t.print(a.out, a.bold)
}

func (a *app) showObjects(store string, list []*jetstream.ObjectInfo, names bool) error {
	none := fmt.Sprintf("No objects. `weir object put %s FILE` stores one.", store)
	switch {
	case names:
		all := make([]string, 0, len(list))
		for _, o := range list {
			all = append(all, o.Name)
		}
		return a.showNames(all, none)
	case a.asJSON:
		return a.printJSON(append([]*jetstream.ObjectInfo{}, list...))
	case len(list) == 0:
		a.note("%s", none)
		return nil
	}
	t := newTable("NAME", ">BYTES", "STORED", "DESCRIPTION")
	var bytes uint64
	for _, o := range list {
		bytes += o.Size
		t.add(o.Name, humanBytes(o.Size), when(o.ModTime), shorten(linkText(o), 40))
	}
	t.total(plural(uint64(len(list)), "object", "objects"), humanBytes(bytes), "", "")
	return t.print(a.out, a.bold)
}

func linkText(o *jetstream.ObjectInfo) string {
	if o.Opts == nil || o.Opts.Link == nil {
		return o.Description
	}
	return strings.TrimSuffix("link to "+o.Opts.Link.Bucket+" "+o.Opts.Link.Name, " ")
}

func newObjectInfo(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "info STORE [NAME]",
		Aliases: []string{"status"},
		Short:   "Show an object store, or one of its objects",
		Long:    "Shows the settings of a store and what it holds, or size, digest and time of the object NAME.",
		Example: "  weir object info FILES\n  weir object info FILES report.pdf --json",
		Args:    arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd, args[0], func(ctx context.Context, obs jetstream.ObjectStore) error {
				if len(args) == 1 {
					return a.showStore(ctx, args[0], obs)
				}
				info, err := obs.GetInfo(ctx, args[1])
				if err != nil {
					return fmt.Errorf("object %s of store %s: %w", args[1], args[0], err)
				}
				return a.showObject(info)
			})
		},
	}
}

func (a *app) showStore(ctx context.Context, name string, obs jetstream.ObjectStore) error {
	st, err := obs.Status(ctx)
	if err != nil {
		return fmt.Errorf("look at object store %s: %w", name, err)
	}
	f := factsOfStore(st)
	if a.asJSON {
		return a.printJSON(f)
	}
	var s sheet
	s.heading("Object store " + f.Store)
	s.add("Description", f.Description)
	s.add("Storage", f.Storage+replicas(f.Replicas))
	s.add("Metadata", pairs(f.Metadata))
	s.add("Age", limitAge(f.TTL))
	if f.Sealed {
		s.add("Sealed", "yes, it cannot change any more")
	}
	if f.Compressed {
		s.add("Stored", "compressed")
	}
	s.add("Bytes", humanBytes(f.Bytes))
	s.add("Stream", f.Stream)
	return s.print(a.out, a.bold)
}

func (a *app) showObject(o *jetstream.ObjectInfo) error {
	if a.asJSON {
		return a.printJSON(o)
	}
	var s sheet
	s.heading("Object " + o.Name + " of store " + o.Bucket)
	s.add("Description", linkText(o))
	s.add("Size", fmt.Sprintf("%s (%s bytes)", humanBytes(o.Size), thousands(o.Size)))
	s.add("Pieces", thousands(int64(o.Chunks)))
	s.add("Digest", o.Digest)
	s.add("Stored", when(o.ModTime))
	s.add("Metadata", pairs(o.Metadata))
	for _, k := range slices.Sorted(maps.Keys(o.Headers)) {
		s.add("Header "+k, strings.Join(o.Headers[k], ", "))
	}
	return s.print(a.out, a.bold)
}

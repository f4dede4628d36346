package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newStreamEdit(a *app) *cobra.Command {
	var f streamFlags
	cmd := &cobra.Command{
		Use:   "edit NAME",
		Short: "Change a stream's settings",
		Long: `Changes the settings that flags name and leaves the others as they are. Limits
take effect at once: messages that they no longer allow are removed.`,
		Example: "  weir stream edit ORDERS --max-age 90d\n  weir stream edit ORDERS --subjects 'orders.>,returns.>'",
		Args:    arguments(1, 1),
	}
	f.bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			s, err := openStream(ctx, js, args[0])
			if err != nil {
				return err
			}
			before := s.CachedInfo().Config
			after := before
			after.Metadata = maps.Clone(before.Metadata)
			if err := f.apply(cmd, &after, true); err != nil {
				return err
			}
			changes, err := differences(before, after)
			if err != nil {
				return err
			}
			if len(changes) == 0 {
				return usagef(cmd, "nothing to change: no flag differs from what the stream has")
			}
			s, err = js.UpdateStream(ctx, after)
			if err != nil {
				return fmt.Errorf("change stream %s: %w", args[0], err)
			}
			if a.asJSON {
				return a.printJSON(s.CachedInfo())
			}
			for _, c := range changes {
				fmt.Fprintln(a.out, c)
			}
			return nil
		})
	}
	return cmd
}

// differences lists the settings in which two configurations differ, under their names in JSON.
func differences(before, after any) ([]string, error) {
	x, err := fields(before)
	if err != nil {
		return nil, err
	}
	y, err := fields(after)
	if err != nil {
		return nil, err
	}
	names := maps.Clone(x)
	maps.Copy(names, y)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if string(x[name]) != string(y[name]) {
			list = append(list, fmt.Sprintf("%s: %s -> %s", name, orNone(x[name]), orNone(y[name])))
		}
	}
	return list, nil
}

func fields(v any) (map[string]json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("compare settings: %w", err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("compare settings: %w", err)
	}
	return m, nil
}

func orNone(v json.RawMessage) string {
	if v == nil {
		return "none"
	}
	return string(v)
}

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

const backupVerifyLong = `Reads a backup from FILE ("-": standard input) to its end, verifies every byte, and
shows what is in it. It needs no server.

Exit status: 0 the backup is whole, 1 it is not; then it says at which offset the
damage is, and after which message.`

func newBackupVerify(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "verify FILE|-",
		Short:   "Verify a backup and show what is in it",
		Long:    backupVerifyLong,
		Example: "  weir backup verify orders.weir\n  weir backup verify orders.weir --json\n  zstd -dc orders.weir.zst | weir backup verify -",
		Args:    arguments(1, 1),
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		in, size, err := a.openBackup(args[0])
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }() // it was only read
		p := a.newProgress(a.asJSON)
		facts, err := readBackup(in, func(done int64, n, of uint64) {
			if size > 0 {
				p.showPart(done, size)
			} else {
				p.showCount(n, of)
			}
		})
		p.clear()
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return a.showBackup(facts, "%s is whole", args[0])
	}
	return cmd
}

// openBackup opens a backup for reading; size is 0 where it is not known.
func (a *app) openBackup(name string) (in io.ReadCloser, size int64, err error) {
	if name == "-" {
		return newBuffered(io.NopCloser(a.in)), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("open the backup: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("open the backup: %w", err)
	}
	return newBuffered(f), info.Size(), nil
}

package logstore

import (
	"io"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/server"
)

// Register gives a storage a name: letters, digits, "-" and "_". A stream is kept in it
// that is made with the metadata "weir.storage: NAME". It is for a program's beginning,
// and panics if the name is bad or taken, or the Kind is not complete.
func Register(name string, k Kind) {
	if k.Open == nil {
		panic("logstore: a storage without Open: " + name)
	}
	server.RegisterStore(name, server.StoreKind{
		Durability: k.Durability,
		Open: func(dir string) (partition.Store, error) {
			l, err := k.Open(dir)
			if err != nil {
				return nil, err
			}
			return newStore(l), nil
		},
	})
}

// Main runs the server as the command weir does, with the arguments of a command line
// without the program's name, until a signal ends it. It gives the exit status.
func Main(args []string, stdout, stderr io.Writer) int { return server.Main(args, stdout, stderr) }

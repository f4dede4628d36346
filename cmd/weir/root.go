package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// Groups of the overview that `weir --help` prints.
const (
	groupServer   = "server"
	groupMessages = "messages"
	groupStreams  = "streams"
)

const rootLong = `weir is a message broker that speaks the NATS protocol and keeps durable streams.

Without a command it runs the server: on loopback, with durable streams in
./weir-data. It takes nats-server's flags and configuration files. The other
commands are clients: of this server, or of any NATS server.`

const rootExample = `  weir                                    start a server here
  weir -c weir.conf                       start it with a configuration file
  weir sub 'orders.>'                     print messages as they come
  weir pub orders.new 'one coffee'        publish one
  weir stream add ORDERS 'orders.>'       keep them from now on
  weir pub --js orders.new 'one tea'      publish, and wait until it is stored
  weir sub --stream ORDERS --from all     read them back`

// newRoot builds the tree of commands.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "weir",
		Short:         "A message broker with durable streams",
		Long:          rootLong,
		Example:       rootExample,
		Version:       thisBuild().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
	}
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return usagef(cmd, "unknown command %q; %s?", args[0], strings.Join(near, " or "))
		}
		return usagef(cmd, "unknown command %q", args[0])
	}
	root.SuggestionsMinimumDistance = 2
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usagef(cmd, "%v", err) })
	a.bindGlobal(root)
	root.AddGroup(
		&cobra.Group{ID: groupServer, Title: "Server:"},
		&cobra.Group{ID: groupMessages, Title: "Messages:"},
		&cobra.Group{ID: groupStreams, Title: "Durable streams:"},
	)
	root.SetHelpCommandGroupID(groupServer)
	root.SetCompletionCommandGroupID(groupServer)
	root.AddCommand(
		newServe(a), newCheck(a), newRepair(a), newVersion(a),
		newPub(a), newSub(a), newRequest(a), newReply(a), newRTT(a),
		newStream(a), newConsumer(a), newGroup(a), newKV(a), newObject(a), newBackup(a), newImport(a),
	)
	return root
}

// newServe stands for the server in the overview. run hands its arguments to
// the server before this tree is asked, so only `weir help serve` comes here.
func newServe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "serve [FLAGS]",
		GroupID: groupServer,
		Short:   "Run the server (also what weir does without a command)",
		Long: `Runs the server until SIGTERM or SIGINT. Its flags are nats-server's;
weir serve --help lists them.`,
		Example:            "  weir serve -p 4222 -sd /var/lib/weir\n  weir serve -c weir.conf",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if status := serve(args, a.out, a.err); status != exitOK {
				return errServe
			}
			return nil
		},
	}
}

// parent makes a command that only has subcommands.
func parent(group, use, short, long, example string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, GroupID: group, Short: short, Long: long, Example: example,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef(cmd, "unknown command %q", cmd.CommandPath()+" "+args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(children...)
	return cmd
}

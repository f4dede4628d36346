package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
	liftwire "github.com/weirmq/weir/internal/wire/liftbridge"
)

func newGroup(a *app) *cobra.Command {
	return parent(groupStreams, "group", "Inspect consumer groups and set them back",
		`The members of a consumer group share the partitions of streams, and the group keeps
how far it is with each. Members are programs: NATS clients that ask for their part
under $WEIR.API.GROUP, and Liftbridge's clients. docs/groups.md tells how.`,
		`  weir group ls
  weir group info billing
  weir group reset billing --to first
  weir group reset billing ORDERS:2 --to 2h
  weir group rm billing
  weir group cursor orders:2 billing`,
		newGroupLs(a), newGroupInfo(a), newGroupReset(a), newGroupRm(a), newGroupCursor(a))
}

// errNoGroups says that nobody answers requests about groups.
var errNoGroups = errors.New("this server has no consumer groups: Weir has, with durable streams, and the user needs the permission to publish to $WEIR.API.GROUP.> and $WEIR.API.CURSOR.>")

// askGroups sends a request about groups and reads the answer into response, whose
// beginning is head. group may be empty, request nil.
func (a *app) askGroups(kind wire.GroupKind, group string, request, response any, head *wire.Response) error {
	subject := wire.GroupPrefix + string(kind)
	if group != "" {
		subject += "." + liftwire.EscapeName(group)
	}
	if err := a.askWeir(subject, request, response); err != nil {
		return err
	}
	if head.Error == nil {
		return nil
	}
	if group == "" {
		return fmt.Errorf("consumer groups: %w", groupRefusal{head.Error})
	}
	return fmt.Errorf("consumer group %s: %w", group, groupRefusal{head.Error})
}

// askWeir asks about groups or cursors; request may be nil.
func (a *app) askWeir(subject string, request, response any) error {
	nc, err := a.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	var body []byte
	if request != nil {
		if body, err = json.Marshal(request); err != nil {
			return fmt.Errorf("encode a request: %w", err)
		}
	}
	m, err := nc.Request(subject, body, a.timeout)
	if errors.Is(err, nats.ErrNoResponders) {
		return errNoGroups
	}
	if err != nil {
		return fmt.Errorf("ask about consumer groups: %w", err)
	}
	if err := json.Unmarshal(m.Data, response); err != nil {
		return fmt.Errorf("read the answer about consumer groups: %w", err)
	}
	return nil
}

// groupRefusal is an error of the server about groups. It keeps its number: that is
// what people search for.
type groupRefusal struct{ refusal *wire.Error }

func (r groupRefusal) Error() string {
	return fmt.Sprintf("%s (error %d)", r.refusal.Description, r.refusal.ErrCode)
}

// isGroupRefusal says whether an error is the one of that number.
func isGroupRefusal(errCode int) func(error) bool {
	return func(err error) bool {
		var r groupRefusal
		return errors.As(err, &r) && r.refusal.Has(errCode)
	}
}

// groupArgument is the first argument, which must not be empty.
func groupArgument(cmd *cobra.Command, args []string) (string, error) {
	if args[0] == "" {
		return "", usagef(cmd, "GROUP is empty")
	}
	return args[0], nil
}

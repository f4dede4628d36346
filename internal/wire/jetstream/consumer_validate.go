package jetstream

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Check makes a configuration ready to be stored: it normalizes and validates it
// and refuses what this server does not serve.
func (c *ConsumerConfig) Check(o ConsumerOptions) *Error {
	if err := c.Normalize(o); err != nil {
		return err
	}
	if err := c.Validate(o); err != nil {
		return err
	}
	return nil
}

// Validate checks a normalized configuration, in the order in which clients are
// used to see errors.
func (c *ConsumerConfig) Validate(o ConsumerOptions) *Error {
	for _, check := range []func() *Error{
		c.checkNames,
		c.checkReplicas,
		c.checkWaits,
		c.checkFlowAcks,
		c.checkTexts,
		c.checkMode,
		func() *Error { return c.checkPush(o) },
		func() *Error { return c.checkBounds(o) },
		c.checkDirect,
		c.checkFilters,
		c.checkStart,
		c.checkContinues,
		c.checkSampling,
		c.checkHeartbeat,
		c.checkMetadata,
		c.checkPriority,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *ConsumerConfig) checkNames() *Error {
	for i, n := range [...]string{c.Durable, c.Name} {
		durable := i == 0
		switch {
		case n == "":
		case len(n) > MaxNameLen:
			return ErrWith(CodeConsumerNameTooLong, "max", strconv.Itoa(MaxNameLen))
		case hasPathSeparator(n):
			return Err(CodeConsumerNameSeparators)
		case durable && strings.ContainsAny(n, ".*>"):
			return Err(CodeBadDurableName)
		case !ValidName(n):
			return invalidStream("a consumer name can not contain '.', '*', '>' or white space")
		}
	}
	if c.Durable != "" && c.Name != "" && c.Durable != c.Name {
		return Err(CodeDurableAndNameMismatch)
	}
	return nil
}

func (c *ConsumerConfig) checkReplicas() *Error {
	switch {
	case c.Replicas < 0:
		return Err(CodeReplicasNegative)
	case c.Replicas > 1:
		return Err(CodeReplicasNotSupported)
	}
	return nil
}

func (c *ConsumerConfig) checkWaits() *Error {
	for _, b := range c.Backoff {
		if b < 0 {
			return Err(CodeBackoffNegative)
		}
	}
	if c.AckWait < 0 {
		return Err(CodeAckWaitNegative)
	}
	return nil
}

// flowHeartbeat is how often a consumer that is acknowledged by flow control says
// that it is there.
const flowHeartbeat = time.Second

// checkFlowAcks checks acknowledgement by flow control.
func (c *ConsumerConfig) checkFlowAcks() *Error {
	if c.AckPolicy != AckFlowControl {
		return nil
	}
	switch {
	case !c.Push():
		return Err(CodeAckFCRequiresPush)
	case !c.FlowControl:
		return Err(CodeAckFCRequiresFC)
	case c.IdleHeartbeat != flowHeartbeat:
		return invalidStream("flow control ack policy needs an idle heartbeat of 1s")
	case c.MaxAckPending <= 0:
		return Err(CodeAckFCRequiresMaxPending)
	case c.AckWait != 0 || len(c.Backoff) > 0:
		return Err(CodeAckFCRequiresNoAckWait)
	case c.MaxDeliver > 0:
		return Err(CodeAckFCRequiresNoMaxDeliver)
	}
	return nil
}

func (c *ConsumerConfig) checkTexts() *Error {
	switch {
	case c.MaxDeliver != -1 && len(c.Backoff) > c.MaxDeliver:
		return Err(CodeMaxDeliverBackoff)
	case len(c.Description) > maxDescription:
		return ErrWith(CodeConsumerDescription, "max", strconv.Itoa(maxDescription))
	}
	return nil
}

// checkMode finds what belongs to the other way of delivery: push or pull.
func (c *ConsumerConfig) checkMode() *Error {
	if c.Push() {
		return nil
	}
	switch {
	case c.RateLimit > 0:
		return Err(CodePullWithRateLimit)
	case c.IdleHeartbeat > 0:
		return Err(CodeHeartbeatRequiresPush)
	case c.FlowControl:
		return Err(CodeFlowControlRequiresPush)
	case c.MaxRequestExpires > 0 && c.MaxRequestExpires < time.Millisecond:
		return Err(CodeRequestExpiresTooSmall)
	}
	return nil
}

// checkPush checks what only consumers that push have.
func (c *ConsumerConfig) checkPush(o ConsumerOptions) *Error {
	const codeDeliverCycle = 10081
	if !c.Push() {
		return nil
	}
	switch {
	case !validSubject(c.DeliverSubject):
		return Err(CodeInvalidDeliverSubject)
	case !literalSubject(c.DeliverSubject):
		return Err(CodeDeliverToWildcards)
	case o.Stream.Overlaps([]string{c.DeliverSubject}):
		return Err(codeDeliverCycle)
	case c.MaxWaiting != 0:
		return Err(CodePushMaxWaiting)
	case c.AckPolicy == AckNone && c.MaxAckPending > 0:
		return Err(CodeMaxAckPendingNeedsAck)
	case c.IdleHeartbeat > 0 && c.IdleHeartbeat < minDuration:
		return Err(CodeSmallHeartbeat)
	}
	return nil
}

// checkBounds compares with the server's, the account's and the stream's bounds.
func (c *ConsumerConfig) checkBounds(o ConsumerOptions) *Error {
	for _, limit := range [...]int{o.Stream.ConsumerLimits.MaxAckPending, o.MaxAckPending} {
		if limit > 0 && c.MaxAckPending > limit {
			return ErrWith(CodeMaxAckPendingExcess, "limit", strconv.Itoa(limit))
		}
	}
	if limit := o.Stream.ConsumerLimits.InactiveThreshold; limit > 0 && c.InactiveThreshold > limit {
		return ErrWith(CodeInactiveThresholdExcess, "limit", limit.String())
	}
	if o.MaxRequestBatch > 0 && c.MaxRequestBatch > o.MaxRequestBatch {
		return ErrWith(CodeRequestBatchExceeded, "limit", strconv.Itoa(o.MaxRequestBatch))
	}
	return nil
}

func (c *ConsumerConfig) checkDirect() *Error {
	switch {
	case !c.Direct:
		return nil
	case !c.Push():
		return Err(CodeDirectRequiresPush)
	case c.Durable != "":
		return Err(CodeDirectRequiresEphemeral)
	}
	return nil
}

func (c *ConsumerConfig) checkFilters() *Error {
	if c.FilterSubject != "" && len(c.FilterSubjects) > 0 {
		return Err(CodeDuplicateFilterSubjects)
	}
	if c.FilterSubject != "" && !validSubject(c.FilterSubject) {
		return invalidStream("invalid filter subject %q", c.FilterSubject)
	}
	if len(c.FilterSubjects) > maxSubjects {
		return consumerErr("too many filter subjects")
	}
	for _, f := range c.FilterSubjects {
		switch {
		case f == "":
			return Err(CodeEmptyFilter)
		case !validSubject(f):
			return invalidStream("invalid filter subject %q", f)
		}
	}
	if _, _, found := firstOverlap(c.FilterSubjects); found {
		return Err(CodeOverlappingFilters)
	}
	return nil
}

// checkStart compares where delivery begins with the policy that says how.
func (c *ConsumerConfig) checkStart() *Error {
	seq, at := c.OptStartSeq > 0, c.OptStartTime != nil
	text := ""
	switch c.DeliverPolicy {
	case DeliverByStartSequence:
		if !seq {
			text = "deliver by start sequence needs a start sequence"
		} else if at {
			text = "deliver by start sequence excludes a start time"
		}
	case DeliverByStartTime:
		if !at {
			text = "deliver by start time needs a start time"
		} else if seq {
			text = "deliver by start time excludes a start sequence"
		}
	default:
		if seq || at {
			text = "deliver " + c.DeliverPolicy.String() + " excludes a start sequence and time"
		} else if c.DeliverPolicy == DeliverLastPerSubject && len(c.Filters()) == 0 {
			text = "deliver last per subject needs a filter subject"
		}
	}
	if text == "" {
		return nil
	}
	return ErrWith(CodeConsumerInvalidPolicy, "err", "consumer delivery policy: "+text)
}

// checkSampling checks that the share of sampled acknowledgements is a percentage.
func (c *ConsumerConfig) checkSampling() *Error {
	if _, err := sampling(c.SampleFreq); err != nil {
		return ErrWith(CodeInvalidSampling, "err", err.Error())
	}
	return nil
}

// sampling reads "50" or "50%" as 50; nothing is 0.
func sampling(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	switch {
	case err != nil:
		return 0, errors.New("not a percentage")
	case n < 0:
		return 0, errors.New("negative percentage")
	}
	return n, nil
}

func (c *ConsumerConfig) checkHeartbeat() *Error {
	if c.FlowControl && c.IdleHeartbeat == 0 {
		return Err(CodeFlowControlNeedsHeartbeat)
	}
	return nil
}

func (c *ConsumerConfig) checkMetadata() *Error {
	if metadataSize(withoutServerKeys(c.Metadata)) > maxMetadata {
		return ErrWith(CodeConsumerMetadata, "limit", strconv.Itoa(maxMetadata>>10)+"KB")
	}
	return nil
}

func (c *ConsumerConfig) checkPriority() *Error {
	if c.PriorityPolicy == PriorityNone {
		switch {
		case len(c.PriorityGroups) > 0:
			return Err(CodePriorityGroupPolicyNone)
		case c.PriorityTimeout != 0:
			return Err(CodePinnedTTLPolicyNone)
		}
		return nil
	}
	if c.Push() {
		return Err(CodePushWithPriorityGroup)
	}
	if len(c.PriorityGroups) == 0 {
		return Err(CodePriorityWithoutGroup)
	}
	for _, g := range c.PriorityGroups {
		if g == "" {
			return Err(CodeEmptyGroupName)
		}
		if !validGroup(g) {
			return Err(CodeInvalidGroupName)
		}
	}
	return nil
}

// validGroup says whether s may name a priority group.
func validGroup(s string) bool {
	const maxGroup = 16
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("-_/=", rune(c)) {
			return false
		}
	}
	return s != "" && len(s) <= maxGroup
}

# What the tests' Request Tracker has beside its defaults: queues, people, rights, tokens.
use strict;
use warnings;

our @Queues = map { { Name => $_ } } qw(Support Elsewhere Secret);
push @Queues, { Name => 'Changes', Lifecycle => 'changes' };

our @Users = map {
    { Name => $_, RealName => ucfirst $_, EmailAddress => "$_\@forewarn.test", Privileged => 1 }
} qw(ana ben);
# One whose answers are in another language, and whose clock is not the server's.
push @Users, {
    Name => 'forewarn', EmailAddress => 'forewarn@forewarn.test', Privileged => 1,
    Lang => 'de', Timezone => 'Asia/Tokyo',
};
# Who may see and create, and no more.
push @Users, { Name => 'limited', EmailAddress => 'limited@forewarn.test', Privileged => 1 };

our @CustomFields = (
    {
        Name => 'Customer', Type => 'FreeformSingle', LookupType => 'RT::Queue-RT::Ticket',
        ApplyTo => [qw(Support Elsewhere Changes)],
    },
    {
        Name => 'Site', Type => 'SelectSingle', LookupType => 'RT::Queue-RT::Ticket',
        Pattern => '(?#Mandatory).', ApplyTo => 'Changes',
        Values => [ { Name => 'north' }, { Name => 'south' } ],
    },
);

my @open = qw(Support Elsewhere Changes);
our @ACL;
for my $queue (@open) {
    for my $user (qw(forewarn ana ben)) {
        push @ACL, map { { UserId => $user, Queue => $queue, Right => $_ } } qw(
            SeeQueue ShowTicket ShowTicketComments CreateTicket CommentOnTicket ReplyToTicket
            ModifyTicket SeeCustomField ModifyCustomField
        );
        push @ACL, map { { UserId => $user, Queue => $queue, Right => $_ } }
            $user eq 'forewarn' ? 'ReassignTicket' : qw(OwnTicket TakeTicket ReassignTicket);
    }
    push @ACL, map { { UserId => 'limited', Queue => $queue, Right => $_ } }
        qw(SeeQueue ShowTicket CreateTicket);
}

our @Final = (
    sub {
        # Nobody reads its mails.
        my $scrips = RT::Scrips->new(RT->SystemUser);
        $scrips->UnLimit;
        while (my $scrip = $scrips->Next) {
            $scrip->SetDisabled(1) if $scrip->ActionObj->Name =~ /^Notify|^Autoreply/;
        }
    },
    sub {
        my %tokens;
        for my $name (qw(root forewarn ana ben limited)) {
            my $user = RT::User->new(RT->SystemUser);
            $user->Load($name);
            my $token = RT::AuthToken->new(RT->SystemUser);
            my ($id, $said, $text) = $token->Create(Owner => $user->Id, Description => 'tests');
            die $said unless $id;
            $tokens{$name} = $text;
        }
        open my $file, '>', $ENV{FOREWARN_TOKENS} or die $!;
        print $file JSON::encode_json(\%tokens);
        close $file;
    }
);

1;

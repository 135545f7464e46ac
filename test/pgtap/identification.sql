-- Who: a CDR finds its customer and its provider, each on its own.
BEGIN;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS billing CASCADE;
SELECT billing.create_ledger();
SELECT no_plan();

CREATE FUNCTION pg_temp.call(raw jsonb) RETURNS billing.cdr LANGUAGE sql AS $$
	INSERT INTO billing.cdr SELECT r.* FROM jsonb_populate_record(NULL::billing.cdr,
		'{"source": "", "started_at": "2026-03-02 12:00:00+00", "disposition": "ANSWERED", "callee": "442079460000", "billsec": 60}' || raw) AS r
	RETURNING *
$$;

-- The account that a leg names, the kind and identifier of the service that led there, and the reason. '-': no account, nothing said.
CREATE FUNCTION pg_temp.customer(raw jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', coalesce(a.name, '-'), s.kind, s.identifier, '(' || c.customer_reason || ')') FROM pg_temp.call(raw) AS c
	LEFT JOIN billing.account AS a ON a.id = c.customer_account_id LEFT JOIN billing.service AS s ON s.id = c.customer_service_id
$$;
CREATE FUNCTION pg_temp.provider(raw jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', coalesce(a.name, '-'), s.kind, s.identifier, '(' || c.provider_reason || ')') FROM pg_temp.call(raw) AS c
	LEFT JOIN billing.account AS a ON a.id = c.provider_account_id LEFT JOIN billing.service AS s ON s.id = c.provider_service_id
$$;

-- Every customer buys at 0.60 a minute, every provider sells at 0.30.
INSERT INTO billing.tariff (name, currency) VALUES ('sell', 'EUR'), ('buy', 'EUR');
INSERT INTO billing.rate (tariff_id, prefix, price) SELECT id, '', CASE name WHEN 'sell' THEN 0.60 ELSE 0.30 END FROM billing.tariff;
CREATE FUNCTION pg_temp.account(name text, provider boolean DEFAULT false, parent text DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO billing.account (name, is_provider, currency, tariff_id, parent_id)
	SELECT account.name, provider, 'EUR', t.id, (SELECT id FROM billing.account AS p WHERE p.name = parent) FROM billing.tariff AS t WHERE t.name = CASE WHEN provider THEN 'buy' ELSE 'sell' END
	RETURNING id
$$;
CREATE FUNCTION pg_temp.service(account text, kind text, identifier text, side text DEFAULT 'customer', tenant text DEFAULT '', active tstzrange DEFAULT '(,)',
	field text DEFAULT NULL, primary_id bigint DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO billing.service (account_id, kind, identifier, side, tenant, active, field, primary_id)
	VALUES ((SELECT id FROM billing.account AS a WHERE a.name = account), kind, identifier, side, tenant, active, field, primary_id) RETURNING id
$$;

-- D1, D2: one account with services of class 4 and class 5, one with an auth-code more, two providers
SELECT pg_temp.account('Acme'), pg_temp.account('Beta'), pg_temp.account('Booth', parent => 'Acme');
SELECT pg_temp.account('Gafachi', true), pg_temp.account('Vitelity', true), pg_temp.account('Vodafone', true);
SELECT pg_temp.service('Acme', kind, identifier) FROM (VALUES ('auth_code', '1001'), ('trunk', 'acme-trunk'), ('ip', '10.1.0.0/16'), ('extension', '101'), ('did', '4930555'), ('ani', '4930777')) AS v (kind, identifier);
SELECT pg_temp.service('Acme', 'virtual_number', '4930556', primary_id => id) FROM billing.service WHERE identifier = '4930555';
SELECT pg_temp.service('Beta', kind, identifier) FROM (VALUES ('auth_code', '2001'), ('trunk', 'beta-trunk'), ('ip', '10.1.2.0/24'), ('ip', '10.1.2.3/32'), ('extension', '201')) AS v (kind, identifier);
SELECT pg_temp.service('Booth', 'extension', '151');
SELECT pg_temp.service('Gafachi', kind, identifier, 'provider') FROM (VALUES ('auth_code', 'G1'), ('trunk', 'gafachi'), ('ip', '192.0.2.0/24'), ('source', 'gafachi.csv')) AS v (kind, identifier);
SELECT pg_temp.service('Vitelity', kind, identifier, 'provider') FROM (VALUES ('auth_code', '1001'), ('trunk', 'vitelity'), ('ip', '192.0.2.8/32'), ('ip', '2001:db8::/32')) AS v (kind, identifier);
SELECT pg_temp.service('Vodafone', kind, identifier, 'provider') FROM (VALUES ('trunk', 'vodafone-in'), ('source', 'vodafone.csv')) AS v (kind, identifier);

-- P1, P2, P4
SELECT is((SELECT count(*) FROM information_schema.columns WHERE table_schema = 'billing' AND table_name = 'account' AND column_name = 'is_provider'), 1::bigint,
	'P1: a provider is an account with a flag');
SELECT is(format('%s %s %s', c.customer_amount, c.provider_amount, c.status), '0.60000000 -0.30000000 rated', 'P2: one CDR, two charges')
FROM pg_temp.call('{"auth_code": "1001", "provider_code": "G1"}') AS c;
SELECT is(num_nonnulls(c.reseller_account_id, c.reseller_amount, c.did_incoming_account_id, c.did_incoming_amount, c.did_owner_account_id, c.did_owner_amount, c.did_provider_account_id, c.did_provider_amount), 0,
	'P2: and no third') FROM pg_temp.call('{"auth_code": "1001", "provider_code": "G1"}') AS c;
SELECT is(pg_temp.customer('{"auth_code": "1001", "provider_code": "G1"}'), 'Acme auth_code 1001', 'P4: both codes: the customer');
SELECT is(pg_temp.provider('{"auth_code": "1001", "provider_code": "G1"}'), 'Gafachi auth_code G1', 'P4: both codes: the provider');
SELECT is(pg_temp.provider('{"auth_code": "1001", "provider_code": "1001"}'), 'Vitelity auth_code 1001', 'P4: the same code means another account on each side');
SELECT is(format('%s %s %s %s', c.customer_reason, c.customer_amount IS NULL, c.provider_amount, c.status), 'no_account t -0.30000000 partial', 'P4, P9: a provider but no customer')
FROM pg_temp.call('{"auth_code": "nobody", "provider_code": "G1"}') AS c;
SELECT is(format('%s %s %s %s', c.provider_reason, c.provider_amount IS NULL, c.customer_amount, c.status), 'no_account t 0.60000000 partial', 'P4, P9: a customer but no provider')
FROM pg_temp.call('{"auth_code": "1001", "provider_code": "nobody"}') AS c;
SELECT is(format('%s %s %s', c.customer_reason, c.provider_reason, c.status), 'no_account no_account unrated', 'P4, P9: neither')
FROM pg_temp.call('{"auth_code": "nobody", "provider_code": "nobody"}') AS c;
SELECT is(format('%s %s %s', c.customer_amount, c.provider_account_id IS NULL AND c.provider_reason IS NULL, c.status), '0.60000000 t rated', 'no outbound hop: no provider is expected')
FROM pg_temp.call('{"auth_code": "1001"}') AS c;
SELECT is(string_agg(format('%s %s', side, reason), ', ' ORDER BY cdr_id, side), 'customer no_account, provider no_account, customer no_account, provider no_account', 'P9: billing.unrated shows each side that failed, and why') FROM billing.unrated;

-- Precedence of the customer's levels. Each row names one level less of Acme; Beta always waits on the level below.
SELECT is(pg_temp.customer(raw), want, 'precedence: ' || what) FROM (VALUES
	('{"auth_code": "1001", "src_trunk": "beta-trunk", "src_ip": "10.1.2.3", "caller": "201"}'::jsonb, 'Acme auth_code 1001', 'the auth-code comes before the trunk'),
	('{"src_trunk": "acme-trunk", "src_ip": "10.1.2.3", "caller": "201"}', 'Acme trunk acme-trunk', 'D7: the trunk comes before the address; all of its traffic is its account''s'),
	('{"src_ip": "10.1.9.9", "caller": "201"}', 'Acme ip 10.1.0.0/16', 'D8: the address comes before the caller; all of its traffic is its account''s'),
	('{"caller": "101"}', 'Acme extension 101', 'D5: the caller as extension'),
	('{"caller": "4930556"}', 'Acme virtual_number 4930556', 'the caller as virtual number: the row keeps it'),
	('{"caller": "4930555"}', 'Acme did 4930555', 'D3: the caller as DID'),
	('{"caller": "4930777"}', 'Acme ani 4930777', 'V23: the caller as ani'),
	('{"caller": "+4930777"}', 'Acme ani 4930777', 'V23: the caller as ani, with a plus'),
	('{"caller": "999"}', '- (no_account)', 'no level matches'),
	('{"auth_code": "nosuch", "src_trunk": "acme-trunk"}', 'Acme trunk acme-trunk', 'an unknown code falls to the next level'),
	('{"auth_code": "nosuch", "src_trunk": "nosuch", "src_ip": "10.1.2.3", "caller": "101"}', 'Beta ip 10.1.2.3/32', 'an unknown trunk falls to the address'),
	('{"auth_code": "nosuch", "src_trunk": "nosuch", "src_ip": "172.16.0.1", "caller": "101"}', 'Acme extension 101', 'an unknown address falls to the caller'),
	('{"auth_code": "", "src_trunk": "", "src_ip": "", "caller": "101"}', 'Acme extension 101', 'empty texts are no codes'),
	('{"src_ip": "no address", "caller": "101"}', 'Acme extension 101', 'an address that cannot be read falls to the caller'),
	('{"auth_code": "G1", "caller": "101"}', 'Acme extension 101', 'P4: a provider''s code is no customer''s'),
	-- within a trunk's or address's account, or an account below it, the caller selects the service
	('{"src_trunk": "acme-trunk", "caller": "101"}', 'Acme extension 101', 'within the trunk the caller selects the service'),
	('{"src_trunk": "acme-trunk", "caller": "4930777"}', 'Acme ani 4930777', 'within the trunk the caller selects the service, of any caller kind'),
	('{"src_ip": "10.1.9.9", "caller": "101"}', 'Acme extension 101', 'within the network the caller selects the service'),
	('{"src_trunk": "acme-trunk", "caller": "151"}', 'Booth extension 151', 'within the trunk the caller selects the service of an account below it'),
	('{"src_trunk": "beta-trunk", "caller": "151"}', 'Beta trunk beta-trunk', 'but never that of another account'),
	('{"caller": "151"}', 'Booth extension 151', 'and without a trunk its own'),
	-- redirected_by
	('{"caller": "201", "redirected_by": "101"}', 'Acme extension 101', 'redirected_by takes the caller''s place'),
	('{"caller": "201", "redirected_by": "999"}', '- (no_account)', 'also when nobody knows it'),
	('{"caller": "201", "redirected_by": ""}', 'Beta extension 201', 'an empty redirected_by does not'),
	('{"src_trunk": "acme-trunk", "caller": "101", "redirected_by": "151"}', 'Booth extension 151', 'also within a trunk'),
	-- longest network
	('{"src_ip": "10.1.2.3"}', 'Beta ip 10.1.2.3/32', 'D8: the longest network wins: /32'),
	('{"src_ip": "10.1.2.4"}', 'Beta ip 10.1.2.0/24', 'D8: the longest network wins: /24'),
	('{"src_ip": "10.1.3.4"}', 'Acme ip 10.1.0.0/16', 'D8: the longest network wins: /16'),
	('{"src_ip": "10.2.0.1"}', '- (no_account)', 'D8: outside of them')) AS v (raw, want, what);
SELECT is(format('%s %s', a.name, c.reseller_amount), 'Acme 0.60000000', 'an account below the trunk''s has the trunk''s as its reseller')
FROM pg_temp.call('{"src_trunk": "acme-trunk", "caller": "151"}') AS c JOIN billing.account AS a ON a.id = c.reseller_account_id;

-- Target provider
SELECT is(pg_temp.provider(raw), want, 'provider: ' || what) FROM (VALUES
	('{"provider_code": "G1", "dst_trunk": "vitelity", "dst_ip": "192.0.2.8"}'::jsonb, 'Gafachi auth_code G1', 'the code comes before trunk and address'),
	('{"dst_trunk": "vitelity", "dst_ip": "192.0.2.1"}', 'Vitelity trunk vitelity', 'the trunk comes before the address'),
	('{"provider_code": "nosuch", "dst_trunk": "vitelity"}', 'Vitelity trunk vitelity', 'an unknown code falls to the trunk'),
	('{"dst_trunk": "nosuch", "dst_ip": "192.0.2.1"}', 'Gafachi ip 192.0.2.0/24', 'an unknown trunk falls to the address'),
	('{"dst_ip": "192.0.2.8"}', 'Vitelity ip 192.0.2.8/32', 'the longest network wins'),
	('{"dst_ip": "2001:db8:0:1::5"}', 'Vitelity ip 2001:db8::/32', 'IPv6'),
	('{"dst_ip": "2001:DB8:0000:0001:0:0:0:5"}', 'Vitelity ip 2001:db8::/32', 'IPv6, written otherwise'),
	('{"dst_ip": "2001:db9::1"}', '- (no_account)', 'IPv6, outside'),
	('{"dst_trunk": "acme-trunk"}', '- (no_account)', 'a customer''s trunk is no provider''s'),
	('{"source": "gafachi.csv"}', 'Gafachi source gafachi.csv', 'P6: a provider''s own file names it'),
	('{"source": "gafachi.csv", "auth_code": "1001", "src_trunk": "acme-trunk", "src_ip": "10.1.2.3"}', 'Gafachi source gafachi.csv', 'P6: whatever the row says of the customer'),
	('{"source": "gafachi.csv", "provider_code": "1001"}', 'Vitelity auth_code 1001', 'a code of the row comes before its file'),
	('{"source": "nosuch.csv"}', '-', 'a file that is no provider''s expects none')) AS v (raw, want, what);
SELECT is(pg_temp.customer('{"source": "gafachi.csv", "src_trunk": "acme-trunk"}'), 'Acme trunk acme-trunk', 'a provider''s file of calls to elsewhere names customers too');

-- Source provider: its traffic is no customer's (V22)
SELECT is(pg_temp.customer(raw), '-', 'V22: no customer: ' || what) FROM (VALUES
	('{"src_trunk": "vodafone-in", "dst_trunk": "gafachi", "caller": "101"}'::jsonb, 'a call that a provider sends through'),
	('{"src_trunk": "vodafone-in", "callee": "4930555", "caller": "101"}', 'a provider''s call to our DID'),
	('{"src_ip": "192.0.2.1", "callee": "4930555"}', 'a provider''s call from its address'),
	('{"source": "vodafone.csv", "callee": "4930555"}', 'a provider''s file of calls to our DID'),
	('{"src_trunk": "vodafone-in", "did": "4930555", "callee": "101"}', 'the DID stands in its own column')) AS v (raw, what);
SELECT is(format('%s %s', c.provider_amount, c.status), '-0.30000000 rated', 'V22: transit: the target provider is paid') FROM pg_temp.call('{"src_trunk": "vodafone-in", "dst_trunk": "gafachi"}') AS c;
SELECT is(s.identifier, '4930555', 'a call to a DID names it: ' || raw::text)
FROM (VALUES ('{"src_trunk": "vodafone-in", "callee": "4930555"}'::jsonb), ('{"src_trunk": "vodafone-in", "callee": "+4930555"}'), ('{"did": "4930555", "callee": "101"}'), ('{"caller": "201", "callee": "4930555"}')) AS v (raw),
	pg_temp.call(raw) AS c JOIN billing.service AS s ON s.id = c.did_service_id;
SELECT is(format('%s %s', c.did_reason, c.status), 'unknown_did unrated', 'an inbound call to an unknown number') FROM pg_temp.call('{"src_trunk": "vodafone-in", "callee": "4930999"}') AS c;
SELECT is(pg_temp.customer('{"did": "4930555", "callee": "442079460000", "dst_trunk": "gafachi", "caller": "999"}'), 'Acme did 4930555', 'onward hop: the DID''s account pays the forwarded call');
SELECT is(pg_temp.customer('{"did": "4930555", "dst_trunk": "gafachi", "auth_code": "2001"}'), 'Beta auth_code 2001', 'onward hop: the auth-code comes first');
SELECT is(pg_temp.customer('{"did": "4930555", "dst_trunk": "gafachi", "redirected_by": "201"}'), 'Beta extension 201', 'onward hop: then redirected_by');

-- Bilateral: one account on both sides, one trunk
SELECT pg_temp.account('Both', true);
SELECT pg_temp.service('Both', 'trunk', 'both', side) FROM unnest(ARRAY['customer', 'provider']) AS side;
SELECT is(pg_temp.customer('{"src_trunk": "both", "dst_trunk": "gafachi"}'), 'Both trunk both', 'bilateral: its traffic to elsewhere is wholesale');
SELECT is(pg_temp.provider('{"auth_code": "1001", "dst_trunk": "both"}'), 'Both trunk both', 'bilateral: traffic to it is bought');
SELECT is(pg_temp.customer('{"src_trunk": "both", "callee": "4930555"}'), '-', 'bilateral: its call to our DID is inbound');
SELECT is(format('%s %s', c.customer_amount, c.provider_amount), '0.30000000 -0.30000000', 'bilateral: both at once') FROM pg_temp.call('{"src_trunk": "both", "dst_trunk": "both"}') AS c;

-- rerouted
SELECT is(format('%s %s %s', num_nonnulls(c.customer_account_id, c.customer_service_id, c.customer_amount, c.customer_reason), c.provider_amount, c.status), '0 -0.30000000 rated',
	'a rerouted row has a provider leg only') FROM pg_temp.call('{"auth_code": "1001", "provider_code": "G1", "rerouted": true}') AS c;

-- D13: activation; the instant is the answer, the range is half open, and its end gives the number to the next
SELECT pg_temp.service('Acme', 'auth_code', 'moved', active => '[2026-03-01 00:00+00, 2026-04-01 00:00+00)');
SELECT pg_temp.service('Beta', 'auth_code', 'moved', active => '[2026-04-01 00:00+00, 2026-05-01 00:00+00)');
SELECT is(pg_temp.customer(jsonb_build_object('auth_code', 'moved', 'started_at', at) || raw), want, 'D13: ' || what) FROM (VALUES
	('2026-02-28 23:59:59.999999+00', '{}'::jsonb, '- (no_account)', 'before its activation'),
	('2026-03-01 00:00:00+00', '{}', 'Acme auth_code moved', 'at its activation'),
	('2026-02-28 23:59:50+00', '{"answered_at": "2026-03-01 00:00:00+00"}', 'Acme auth_code moved', 'answered at its activation'),
	('2026-03-31 23:59:59.999999+00', '{}', 'Acme auth_code moved', 'before it moves'),
	('2026-04-01 00:00:00+00', '{}', 'Beta auth_code moved', 'when it has moved'),
	('2026-05-01 00:00:00+00', '{}', '- (no_account)', 'at its end'),
	('2026-05-01 00:00:00+00', '{"caller": "101"}', 'Acme extension 101', 'ended: the next level')) AS v (at, raw, want, what);

-- D6: tenants
SELECT pg_temp.service(account, 'extension', identifier, tenant => tenant) FROM (VALUES ('Acme', '500', 'a'), ('Beta', '500', 'b'), ('Acme', '501', 'a'), ('Beta', '502', ''), ('Acme', '503', 'a'), ('Beta', '503', ''),
	('Acme', '504', 'a'), ('Acme', '504', 'b')) AS v (account, identifier, tenant);
SELECT is(pg_temp.customer(jsonb_build_object('caller', caller, 'tenant', tenant)), want, format('D6: %s of tenant %s %s', caller, coalesce(tenant, '(none)'), what)) FROM (VALUES
	('500', 'a', 'Acme extension 500', 'is the first''s'), ('500', 'b', 'Beta extension 500', 'is the second''s'), ('500', 'c', '- (no_account)', 'is nobody''s'),
	('500', NULL, '- (ambiguous)', 'is not guessed'), ('500', '', '- (ambiguous)', 'is not guessed'), ('501', NULL, 'Acme extension 501', 'is known by the number alone'),
	('501', 'b', '- (no_account)', 'is another tenant''s'), ('502', 'x', 'Beta extension 502', 'matches a service of any tenant'),
	('503', 'a', 'Acme extension 503', 'matches its tenant first'), ('503', 'x', 'Beta extension 503', 'matches the one of any tenant'),
	('504', NULL, 'Acme extension 504', 'is one account''s, whichever tenant')) AS v (caller, tenant, want, what);
SELECT is(format('%s %s %s', c.customer_amount IS NULL, c.customer_account_id IS NULL, c.status), 't t unrated', 'D6: ambiguous: nobody is charged') FROM pg_temp.call('{"caller": "500"}') AS c;
SELECT pg_temp.service(account, 'trunk', 'shared', 'provider', tenant) FROM (VALUES ('Gafachi', 'a'), ('Vitelity', 'b')) AS v (account, tenant);
SELECT is(pg_temp.provider('{"dst_trunk": "shared"}'), '- (ambiguous)', 'D6: so it is for providers');
SELECT is(pg_temp.provider('{"dst_trunk": "shared", "tenant": "b"}'), 'Vitelity trunk shared', 'D6: a tenant decides for providers too');

-- Several services: of one account by kind, of several ambiguous
SELECT pg_temp.service(account, kind, identifier) FROM (VALUES ('Acme', 'ani', '600'), ('Acme', 'did', '600'), ('Acme', 'extension', '600'), ('Acme', 'ani', '601'), ('Acme', 'did', '601'), ('Acme', 'extension', '602'), ('Beta', 'ani', '602')) AS v (account, kind, identifier);
SELECT is(pg_temp.customer('{"caller": "600"}'), 'Acme extension 600', 'of several services of one account: extension before DID and ani');
SELECT is(pg_temp.customer('{"caller": "601"}'), 'Acme did 601', 'of several services of one account: DID before ani');
SELECT is(pg_temp.customer('{"caller": "602"}'), '- (ambiguous)', 'reading 29: extension of one, ani of another: one level, ambiguous');
SELECT is(pg_temp.customer('{"caller": "602", "src_trunk": "beta-trunk"}'), 'Beta ani 602', 'but within a trunk''s account it is plain');
SELECT is(pg_temp.customer('{"caller": "602", "auth_code": "1001"}'), 'Acme auth_code 1001', 'and the first level that matches decides');

-- P12: patterns over every raw column, last of all levels
SELECT pg_temp.account('Pattern'), pg_temp.account('PatternProvider', true);
SELECT pg_temp.service('Pattern', 'pattern', '^777' || lpad(n::text, 2, '0') || '[0-9]$', field => field)
FROM unnest(ARRAY['source', 'call_id', 'session_id', 'tenant', 'disposition', 'caller', 'callee', 'redirected_by', 'did', 'auth_code', 'provider_code', 'src_trunk', 'dst_trunk', 'src_ip', 'dst_ip']) WITH ORDINALITY AS f (field, n);
SELECT is(pg_temp.customer(jsonb_build_object(field, '777' || lpad(n::text, 2, '0') || '5')), format('Pattern pattern ^777%s[0-9]$', lpad(n::text, 2, '0')), 'P12: a pattern over ' || field)
FROM unnest(ARRAY['source', 'call_id', 'session_id', 'tenant', 'disposition', 'caller', 'callee', 'redirected_by', 'did', 'auth_code', 'provider_code', 'src_trunk', 'dst_trunk', 'src_ip', 'dst_ip']) WITH ORDINALITY AS f (field, n);
SELECT pg_temp.service('Pattern', 'pattern', '^77799', field => 'caller_number'), pg_temp.service('Pattern', 'pattern', '^77798', field => 'callee_number');
SELECT is(pg_temp.customer('{"caller": "777990"}'), 'Pattern pattern ^77799', 'P12: a pattern over caller_number');
SELECT is(pg_temp.customer('{"callee": "777980"}'), 'Pattern pattern ^77798', 'P12: a pattern over callee_number');
SELECT is(pg_temp.customer('{"call_id": "777026", "caller": "101"}'), 'Acme extension 101', 'a pattern comes after the caller');
SELECT pg_temp.service('Pattern', 'pattern', '^8', field => 'caller'), pg_temp.service('Pattern', 'pattern', '^88', field => 'caller'), pg_temp.service('Beta', 'pattern', '^889', field => 'caller');
SELECT is(pg_temp.customer('{"caller": "880"}'), 'Pattern pattern ^88', 'of several patterns of one account the longer');
SELECT is(pg_temp.customer('{"caller": "889"}'), '- (ambiguous)', 'patterns of two accounts are ambiguous');
SELECT pg_temp.service('PatternProvider', 'pattern', '^out-', 'provider', field => 'dst_trunk');
SELECT is(pg_temp.provider('{"dst_trunk": "out-5"}'), 'PatternProvider pattern ^out-', 'P12: a provider by pattern');
SELECT is(pg_temp.provider('{"dst_trunk": "out-5", "dst_ip": "192.0.2.1"}'), 'Gafachi ip 192.0.2.0/24', 'P12: after code, trunk and address');
SELECT throws_ok($$SELECT pg_temp.service('Pattern', 'pattern', '(', field => 'caller')$$, '2201B', NULL, 'a pattern that does not compile is refused on writing');

-- The same row priced again without storing it gives the same columns.
SELECT is(count(*) FILTER (WHERE to_jsonb(r) - 'rated_at' IS DISTINCT FROM (SELECT jsonb_object_agg(key, to_jsonb(c) -> key) FROM jsonb_object_keys(to_jsonb(r) - 'rated_at') AS key)), 0::bigint,
	'rate_call says of every row of this file what the trigger stored') FROM billing.cdr AS c, billing.rate_call(c) AS r;

-- pattern_error: a pattern that went bad behind the guard (a restore from a server with another regex engine)
ALTER TABLE billing.service DISABLE TRIGGER USER;
SELECT pg_temp.service('Pattern', 'pattern', '(', field => 'session_id');
ALTER TABLE billing.service ENABLE TRIGGER USER;
SELECT pg_temp.service('Beta', 'extension', '999999');
SELECT is(pg_temp.customer('{"session_id": "x", "caller": "nobody"}'), '- (pattern_error)', 'a pattern that fails is reason pattern_error, and no error');
SELECT is(pg_temp.customer('{"session_id": "x", "caller": "101"}'), 'Acme extension 101', 'and nothing to the levels above it');

SELECT * FROM finish();
ROLLBACK;

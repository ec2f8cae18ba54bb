// node events_client.js SOCKET: what the sparkpost client of npm finds by the Events API, as JSON.
'use strict';
const SparkPost = require('sparkpost');

const origin = `http://unix:${process.argv[2]}:`;
const client = new SparkPost('any key', { origin });

async function main() {
	let page = await client.events.searchMessage({
		events: ['bounce', 'delay'], per_page: 2, from: '2000-01-01T00:00:00Z',
	});
	const total = page.total_count, results = [];
	for (;;) {
		results.push(...page.results);
		if (!page.links.next) break;
		page = await client.get({ uri: origin + page.links.next });
	}
	const error = await client.events.searchMessage({ cursor: 'no cursor' })
		.then(() => null, e => ({ status: e.statusCode, param: e.errors[0].param }));
	console.log(JSON.stringify({
		total, error, ids: results.map(e => e.event_id), types: results.map(e => e.type),
	}));
}

main().catch(e => { console.error(e); process.exit(1); });

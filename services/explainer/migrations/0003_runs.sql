-- The run of anomalies that ends with a finding: its series' earlier ones.
create index findings_by_series on findings (tenant_id, dataset, model, entity, metric, event_time) where event_time is not null;

-- @down
drop index findings_by_series;

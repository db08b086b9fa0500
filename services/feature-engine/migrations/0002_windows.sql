-- Rows that are looked at together; feature sets of before have none but the row itself.
alter table feature_sets add column window_rows int not null default 1 check (window_rows between 1 and 1000);

-- @down
alter table feature_sets drop column window_rows;
